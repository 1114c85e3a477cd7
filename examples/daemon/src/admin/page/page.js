// Keeps the page as it is on the server, by server-sent events. Whatever comes is text, and is set as text.
"use strict";

const KEPT = 100;

const page = document.querySelector("[data-live]");
const link = document.getElementById("link");
const attempts = document.getElementById("attempts");
const row = document.getElementById("attempt");
const heading = document.getElementById("dead");
const letters = document.getElementById("letters");
const letter = document.getElementById("letter");
const allLetters = document.getElementById("all-letters");
const more = document.getElementById("more");
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

function newLetter(id) {
  const item = letter.content.firstElementChild.cloneNode(true);
  item.dataset.letter = id;
  for (const form of item.querySelectorAll("form")) {
    form.elements.id.value = id;
    const button = form.querySelector("button");
    button.setAttribute("aria-label", `${button.textContent} event ${id}`);
  }
  return item;
}

// Who is in what goes away is led to what stands next to it.
function leave(place, ...next) {
  if (place.contains(document.activeElement)) next.find((it) => it)?.focus();
}

function removeLetter(item) {
  const summary = (other) => other?.querySelector("summary");
  leave(item, summary(item.nextElementSibling), summary(item.previousElementSibling), heading);
  item.remove();
}

function show(place, isShown) {
  if (!isShown) leave(place, heading);
  place.hidden = !isShown;
}

// Those that are gone go, and new ones come in their place. All others stay as they are, open or not.
function showLetters(now) {
  if (!letters || !letter) return;
  const items = new Map(Array.from(letters.children, (item) => [Number(item.dataset.letter), item]));
  for (const { id, fields } of now.letters) {
    if (!items.has(id)) items.set(id, newLetter(id));
    fill(items.get(id), fields);
  }
  for (const item of Array.from(letters.children)) {
    if (!now.ids.includes(Number(item.dataset.letter))) removeLetter(item);
  }
  now.ids.forEach((id, index) => {
    const [item, place] = [items.get(id), letters.children[index] ?? null];
    if (item && item !== place) letters.insertBefore(item, place);
  });
  show(allLetters, now.count > 0);
  show(more, now.next !== null);
  if (now.next !== null) more.href = `?after=${now.next}#dead`;
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
    if (now.letters) showLetters(now.letters);
  };
}
