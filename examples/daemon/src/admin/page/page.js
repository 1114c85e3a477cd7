// Keeps the page as it is on the server, by server-sent events. Whatever comes is text, and is set as text.
"use strict";

const KEPT = 100;

const page = document.querySelector("[data-live]");
const link = document.getElementById("link");
const attempts = document.getElementById("attempts");
const row = document.getElementById("attempt");
const cards = new Map(
  Array.from(document.querySelectorAll("[data-endpoint]"), (card) => [card.dataset.endpoint, card]),
);

function fill(root, fields) {
  for (const [name, text] of Object.entries(fields)) {
    for (const place of root.querySelectorAll(`[data-field="${name}"]`)) {
      if (place.textContent !== text) place.textContent = text;
    }
  }
}

function showCard(card) {
  const place = cards.get(card.name);
  if (!place) return;
  place.dataset.state = card.state;
  place.dataset.paused = card.is_paused;
  fill(place, card.fields);
  for (const [name, path] of Object.entries(card.charts)) {
    place.querySelector(`[data-chart="${name}"]`)?.setAttribute("d", path);
  }
}

// The newest is first. A row that is open stays as it is.
function showAttempt(attempt) {
  if (!attempts || !row) return;
  const newest = Number(attempts.firstElementChild?.dataset.number ?? 0);
  if (attempt.number <= newest) return;
  const item = row.content.firstElementChild.cloneNode(true);
  item.dataset.number = attempt.number;
  item.querySelector("details").dataset.state = attempt.state;
  fill(item, attempt.fields);
  attempts.prepend(item);
  while (attempts.childElementCount > KEPT) attempts.lastElementChild.remove();
}

function say(text) {
  if (link && link.textContent !== text) link.textContent = text;
}

if (page) {
  const events = new EventSource(page.dataset.live);
  events.onopen = () => say("live");
  events.onerror = () => {
    const is_over = events.readyState === EventSource.CLOSED;
    say(is_over ? "not live: load the page again" : "not live: the daemon does not answer");
  };
  events.onmessage = (message) => {
    const now = JSON.parse(message.data);
    fill(document, now.fields);
    now.cards.forEach(showCard);
    now.attempts.forEach(showAttempt);
  };
}
