//! The templates. Whatever stands in them is escaped.

use maud::{DOCTYPE, Markup, html};

use super::chart::{HEIGHT, WIDTH};
use super::dead::{Letter, Letters, Shown};
use super::view::{Card, Row};

/// A whole page.
pub(super) fn page(title: &str, live: Option<&str>, is_in: bool, content: &Markup) -> Markup {
    html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                title { (title) " · pilot-webhookd" }
                link rel="icon" href="/icon.svg";
                link rel="stylesheet" href="/page.css";
                script src="/page.js" defer {}
            }
            body {
                a.skip href="#main" { "To the content" }
                header {
                    h1 { a href="/" { "pilot-webhookd" } }
                    @if live.is_some() {
                        span.link #link role="status" { "as of the last load" }
                    }
                    @if is_in {
                        form method="post" action="/logout" { button { "Log out" } }
                    }
                }
                main #main data-live=[live] { (content) }
            }
        }
    }
}

/// Where the token is asked for. `then` is the endpoint that is shown afterwards.
pub(super) fn log_in(then: Option<&str>, was_wrong: bool) -> Markup {
    html! {
        h2 { "The token, please" }
        @if was_wrong { p.said role="alert" { "That was not the token." } }
        p.note {
            "What endpoints are sent, and what changes something, needs the token. The daemon has logged at its start in \
             which file it is."
        }
        form method="post" action="/login" {
            @if let Some(then) = then { input type="hidden" name="then" value=(then); }
            p {
                label for="token" { "Token" }
                br;
                input #token type="password" name="token" required autocomplete="current-password" autofocus;
            }
            button { "Log in" }
        }
    }
}

/// All endpoints of a page, and the way to the other pages.
pub(super) fn overview(summary: &str, cards: &[Card], page: usize, pages: usize) -> Markup {
    html! {
        p data-field="summary" { (summary) }
        div.cards {
            @for it in cards {
                (card(it, &html! { a href={ "/endpoints/" (it.name) } { (it.name) } }, &html! {}))
            }
        }
        @if pages > 1 {
            nav.actions aria-label="Pages" {
                @if page > 1 { a rel="prev" href={ "/?page=" (page - 1) } { "Previous" } }
                span { "Page " (page) " of " (pages) }
                @if page < pages { a rel="next" href={ "/?page=" (page + 1) } { "Next" } }
            }
        }
    }
}

/// An endpoint at a glance.
fn card(card: &Card, name: &Markup, actions: &Markup) -> Markup {
    let chart = |field: &str, title: &str| {
        html! {
            figure {
                figcaption { (title) output data-field=(field) { (card.field(field)) } }
                svg viewBox={ "0 0 " (WIDTH) " " (HEIGHT) } preserveAspectRatio="none" role="img"
                    aria-label={ (title) ", the last 90 seconds" } {
                    path data-chart=(field) d=(card.charts.get(field).map_or("", String::as_str)) {}
                }
            }
        }
    };
    let number = |field: &str, title: &str| {
        html! { div { dt { (title) } dd data-field=(field) { (card.field(field)) } } }
    };
    html! {
        article.card data-endpoint=(card.name) data-state=(card.state.name()) data-paused=(card.is_paused) {
            div.top {
                h2 { (name) }
                span.state data-field="state" { (card.state.words()) }
            }
            p.target data-field="target" { (card.field("target")) }
            div.charts {
                (chart("rate", "Delivered"))
                (chart("latency", "Attempt"))
                (chart("waiting", "Waiting"))
            }
            dl {
                (number("delivered", "Delivered"))
                (number("lost", "Not delivered"))
                div {
                    dt { "Dead letters" }
                    dd { a data-field="letters" href={ "/endpoints/" (card.name) "#dead" } { (card.field("letters")) } }
                }
                (number("attempts", "Attempts"))
                (number("opens", "Openings"))
                (number("status", "Last status"))
            }
            (actions)
        }
    }
}

/// An endpoint with all that there is to it.
pub(super) fn endpoint(it: &Card, said: Option<&str>, rows: &[Row], dead: &Letters) -> Markup {
    let action = |action: &str, class: &str, words: &str| {
        html! {
            form class=(class) method="post" action={ "/endpoints/" (it.name) "/" (action) } {
                button { (words) }
            }
        }
    };
    let actions = html! {
        div.actions {
            (action("pause", "pause", "Pause"))
            (action("resume", "resume", "Resume"))
            (action("test", "test", "Send a test event"))
            (action("retry", "retry", "Set the webhook again"))
        }
    };
    html! {
        @if let Some(said) = said { p.said role="status" { (said) } }
        (card(it, &html! { (it.name) }, &actions))
        h3 { "Last attempts" }
        @if rows.is_empty() { p.note { "None yet." } }
        ol #attempts { @for it in rows.iter().rev() { (row(it)) } }
        template #attempt { (row(&Row::empty())) }
        h3 #dead tabindex="-1" { "Dead letters" }
        (letters(&it.name, dead))
    }
}

fn row(row: &Row) -> Markup {
    html! {
        li data-number=(row.number) {
            details data-state=(row.state) {
                summary {
                    time data-field="at" { (row.field("at")) }
                    strong data-field="outcome" { (row.field("outcome")) }
                    bdi data-field="topic" { (row.field("topic")) }
                    span.faint data-field="what" { (row.field("what")) }
                    span.faint data-field="attempt" { (row.field("attempt")) }
                    span.faint data-field="took" { (row.field("took")) }
                }
                h4 { "Answer" }
                pre data-field="answer" { (row.field("answer")) }
                h4 { "Body" }
                pre data-field="body" { (row.field("body")) }
            }
        }
    }
}

fn letters(name: &str, dead: &Letters) -> Markup {
    match dead {
        Letters::NoOutbox => html! {
            p.note { "Without an outbox (--outbox FILE) an event that is given up is gone." }
        },
        Letters::Unreadable => html! {
            p.said { "The outbox cannot be read now. The log says why." }
        },
        Letters::There(shown) => letters_there(name, shown),
    }
}

/// What the script shows and hides is always there.
fn letters_there(name: &str, shown: &Shown) -> Markup {
    let Shown { count, after, letters, next } = shown;
    html! {
        p { span data-field="dead" { (count) } " in all." }
        div.actions #all-letters hidden[*count == 0] {
            form method="post" action={ "/endpoints/" (name) "/replay" } {
                button { "Replay all" }
            }
            form.actions method="post" action={ "/endpoints/" (name) "/discard" } {
                label { input type="checkbox" name="sure" value="yes" required; "for good" }
                button.danger { "Discard all" }
            }
        }
        ol #letters { @for it in letters { (letter(name, it)) } }
        template #letter { (letter(name, &Letter::empty())) }
        nav.actions aria-label="More dead letters" {
            @if *after > 0 { a href={ "/endpoints/" (name) "#dead" } { "From the first" } }
            a #more href={ "/endpoints/" (name) "?after=" (next.unwrap_or(0)) "#dead" } hidden[next.is_none()] {
                "More"
            }
        }
    }
}

fn letter(name: &str, it: &Letter) -> Markup {
    let form = |action: &str, class: &str, words: &str| {
        html! {
            form method="post" action={ "/endpoints/" (name) "/" (action) } {
                input type="hidden" name="id" value=(it.id);
                button class=(class) aria-label={ (words) " event " (it.id) } { (words) }
            }
        }
    };
    html! {
        li data-letter=(it.id) {
            details data-state="bad" {
                summary {
                    time data-field="at" { (it.field("at")) }
                    strong data-field="why" { (it.field("why")) }
                    bdi data-field="topic" { (it.field("topic")) }
                    span.faint data-field="what" { (it.field("what")) }
                    span.faint data-field="attempts" { (it.field("attempts")) }
                    span data-field="asked" { (it.field("asked")) }
                }
                h4 { "Sent to" }
                p.target data-field="target" { (it.field("target")) }
                h4 { "Data" }
                pre data-field="data" { (it.field("data")) }
                div.actions { (form("replay", "", "Replay")) (form("discard", "danger", "Discard")) }
            }
        }
    }
}
