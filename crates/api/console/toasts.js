// Short messages in a corner. They are read out by screen readers, and lie above dialogs.

import { byId, copyOf, one, setting, topmost } from "./dom.js";

const STAYS = 6000;
const region = byId("toasts");

/** Everything outside of a modal dialog is inert: so the messages move into the one on top, and back. */
export function follow() {
  const place = topmost();
  if (region.parentElement !== place) place.append(region);
}

class Toast {
  constructor() {
    follow();
    this.element = copyOf("toast");
    this.text = one("p", this.element);
    one("button", this.element).addEventListener("click", () => this.close());
    this.element.addEventListener("focusin", (event) => {
      if (!this.element.contains(event.relatedTarget)) this.focusFrom = event.relatedTarget;
    });
    for (const event of ["pointerenter", "focusin"]) this.element.addEventListener(event, () => clearTimeout(this.timer));
    for (const event of ["pointerleave", "focusout"]) this.element.addEventListener(event, () => this.wait());
    region.append(this.element);
  }

  say(kind, message) {
    this.kind = kind;
    this.element.dataset.kind = kind;
    if (kind === "error") this.element.setAttribute("role", "alert");
    else this.element.removeAttribute("role");
    this.text.textContent = message;
    this.wait();
    return this;
  }

  link(text) {
    const link = document.createElement("a");
    link.className = "link";
    link.href = setting("base");
    link.target = "_blank";
    link.rel = "noopener";
    link.textContent = text;
    this.text.append("\n", link);
  }

  /** What went well goes by itself; what went wrong stays until it was read. */
  wait() {
    clearTimeout(this.timer);
    if (this.kind === "success") this.timer = setTimeout(() => this.close(), STAYS);
  }

  close() {
    clearTimeout(this.timer);
    const hadFocus = this.element.contains(document.activeElement);
    this.element.remove();
    if (hadFocus) this.focusFrom?.focus();
  }
}

/** Who has signed in again needs no message about it. */
export function signedIn() {
  one("[data-session]", region)?.remove();
}

/** One message at a time, beside what is still under way. */
export function clear(but) {
  for (const old of region.querySelectorAll('.toast:not([data-kind="loading"])')) if (old !== but?.element) old.remove();
}

export function loading(message) {
  clear();
  return new Toast().say("loading", message);
}

export function success(message, toast = new Toast()) {
  clear(toast);
  return toast.say("success", message);
}

export function error(failure, toast = new Toast()) {
  clear(toast);
  if (failure.kind === "session") {
    toast.element.dataset.session = "ended";
    toast.say("error", "Your session has ended. Nothing that you typed is lost.").link("Sign in again in a new tab, then retry");
  } else {
    toast.say("error", failure.message);
  }
}
