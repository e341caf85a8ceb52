// Elements, by what they are for. Nothing here takes markup from a text.

export const one = (selector, from = document) => from.querySelector(selector);

export const byId = (id) => document.getElementById(id);

/** A copy of the first element of a template. */
export const copyOf = (template) => byId(template).content.firstElementChild.cloneNode(true);

export const setting = (name) => one(`meta[name="gatekey-${name}"]`).content;

/** Shows one of several elements, and hides the others. */
export function showOnly(shown, ...all) {
  for (const element of all) element.hidden = element !== shown;
}

/** The dialog on top, or the page. */
export const topmost = () => [...document.querySelectorAll("dialog[open]")].at(-1) ?? document.body;

/** A badge for a type: BATCH is green, REALTIME blue. */
export function fillBadge(badge, type) {
  badge.textContent = type.toUpperCase();
  badge.classList.add(type === "realtime" ? "realtime" : "batch");
}

/** Has a button show the check mark for three seconds. */
export function showCheck(button) {
  button.classList.add("copied");
  clearTimeout(button.checkTimer);
  button.checkTimer = setTimeout(() => button.classList.remove("copied"), 3000);
}
