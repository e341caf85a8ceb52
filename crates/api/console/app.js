// The page: loads the list, shows it, and opens the dialogs.

import * as api from "./api.js";
import * as dialogs from "./dialogs.js";
import { byId, copyOf, fillBadge, one, setting, showCheck, showOnly } from "./dom.js";
import * as toasts from "./toasts.js";

const [add, grid, rows] = ["add", "grid", "rows"].map(byId);
const states = ["loading", "problem", "empty", "grid"].map(byId);
const day = new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeZone: "UTC" });
const instant = new Intl.DateTimeFormat(undefined, { dateStyle: "full", timeStyle: "long", timeZone: "UTC" });
/** Tells other tabs that the list has changed, and nothing else. */
const tabs = new BroadcastChannel("gatekey");

/** The row to copy. Blanks between its elements would be half of the nodes of a long list. */
const blankRow = copyOf("row");
const texts = document.createNodeIterator(blankRow, NodeFilter.SHOW_TEXT);
for (let text = texts.nextNode(); text; text = texts.nextNode()) if (text.data.trim() === "") text.remove();

/** So many rows fill any screen. They are drawn before the others are made. */
const FIRST_ROWS = 60;
const DRAWN_AFTER = 30;

let tokens = [];
let mayDelete = false;
/** Something has changed while a dialog was open. */
let isStale = false;
/** Counts the loads: only the newest one is shown. */
let loads = 0;

async function load() {
  const mine = ++loads;
  isStale = false;
  try {
    // One after the other: what stands in front may have to renew a session first, and some issuers let it do so only once.
    const roles = await api.roles();
    const listed = await api.list();
    if (mine !== loads) return;
    toasts.signedIn();
    mayDelete = roles.includes("admin") || roles.includes("developer");
    add.hidden = !roles.includes("developer");
    tokens = listed;
    if (grid.hidden && tokens.length > FIRST_ROWS) {
      show(tokens.slice(0, FIRST_ROWS));
      await new Promise((resolve) => setTimeout(resolve, DRAWN_AFTER));
      // Refused meanwhile; or loaded again, and then these are the newest.
      if (grid.hidden) return;
    }
    show(tokens);
  } catch (failure) {
    if (mine === loads) fail(failure);
  }
}

function fail(failure) {
  if (failure.kind === "forbidden") {
    tokens = [];
    rows.replaceChildren();
    if (setting("home")) {
      location.replace(setting("home"));
      return;
    }
  }
  add.hidden = failure.kind === "forbidden";
  // What is shown already stays; it is not lost by a failed look for news.
  if (!grid.hidden && failure.kind !== "forbidden") {
    toasts.error(failure);
    return;
  }
  byId("problem-text").textContent = failure.message;
  byId("problem-sign-in").hidden = failure.kind !== "session";
  showOnly(byId("problem"), ...states);
}

/** Tokens never change: a row that is there stays, with its focus, its selection and its check mark. */
function show(tokens) {
  const old = new Map(Array.from(rows.children, (element) => [element.dataset.id, element]));
  const shown = tokens.map((token) => old.get(String(token.id)) ?? row(token));
  const kept = new Set(shown);
  for (const element of old.values()) if (!kept.has(element)) element.remove();
  let next = rows.firstElementChild;
  for (const element of shown) {
    if (element === next) next = next.nextElementSibling;
    else rows.insertBefore(element, next);
  }
  const now = Date.now();
  tokens.forEach((token, place) => mark(shown[place], token, now));
  showOnly(tokens.length === 0 ? byId("empty") : grid, ...states);
}

/** What of a row depends on the time and on who looks. */
function mark(element, token, now) {
  const isOver = Date.parse(token.expires) <= now;
  element.classList.toggle("over", isOver);
  one(".expired", element).hidden = !isOver;
  one(".delete", element).hidden = !mayDelete;
}

function row(token) {
  const element = blankRow.cloneNode(true);
  const [id, name, key, type, expires, actions] = element.children;
  element.dataset.id = token.id;
  id.textContent = token.id;
  name.firstElementChild.textContent = token.name;
  one("code", key).textContent = token.key;
  const copy = one("button", key);
  copy.setAttribute("aria-label", `Copy key ${token.key}`);
  fillBadge(type.firstElementChild, token.type);
  const expiry = new Date(token.expires);
  const time = one("time", expires);
  time.dateTime = token.expires;
  time.textContent = day.format(expiry);
  time.title = instant.format(expiry);
  one("button", actions).setAttribute("aria-label", `Delete token ${token.name}`);
  return element;
}

rows.addEventListener("click", (event) => {
  const button = event.target.closest("button");
  const token = button && tokens.find((one) => String(one.id) === button.closest("tr").dataset.id);
  if (!token) return;
  if (button.classList.contains("copy")) copyKey(button, token);
  else remove(token);
});

async function copyKey(button, token) {
  try {
    await navigator.clipboard.writeText(token.key);
    showCheck(button);
    toasts.success("Key copied to clipboard");
  } catch {
    getSelection().selectAllChildren(one("code", button.parentElement));
    toasts.error({ message: "The key could not be copied. It is selected: copy it by hand." });
  }
}

async function remove(token) {
  const place = tokens.indexOf(token);
  const changed = await dialogs.remove(token);
  if (changed) tabs.postMessage("changed");
  else if (!isStale) return;
  await load();
  // Its row is gone: the focus goes to the one that took its place.
  if (document.activeElement === document.body) {
    const next = rows.children[Math.min(place, rows.children.length - 1)];
    (one(".delete", next ?? document.createElement("tr")) ?? add).focus();
  }
}

add.addEventListener("click", async () => {
  const { created, changed } = await dialogs.create();
  if (created) {
    toasts.success("Token created successfully");
    tabs.postMessage("changed");
    const closed = dialogs.showCreated(created);
    load();
    await closed;
    add.focus();
  } else if (changed || isStale) {
    if (changed) tabs.postMessage("changed");
    await load();
  }
});

byId("retry").addEventListener("click", async () => {
  showOnly(byId("loading"), ...states);
  await load();
  (add.hidden ? byId("retry") : add).focus();
});

/** Not under a dialog: there the list is loaded when it closes. */
function refresh() {
  if (one("dialog[open]")) isStale = true;
  else load();
}
tabs.addEventListener("message", refresh);
document.addEventListener("visibilitychange", () => document.hidden || refresh());
addEventListener("pageshow", (event) => event.persisted && refresh());

load();
