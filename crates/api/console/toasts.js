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
    this.element.remove();
  }
}

export const loading = (message) => new Toast().say("loading", message);

export const success = (message, toast = new Toast()) => toast.say("success", message);

/** Only the newest of what went wrong stays. */
export function error(failure, toast = new Toast()) {
  for (const old of region.querySelectorAll('[data-kind="error"]')) if (old !== toast.element) old.remove();
  if (failure.kind === "session") {
    toast.say("error", "Your session has ended. Nothing that you typed is lost.").link("Sign in again in a new tab, then retry");
  } else {
    toast.say("error", failure.message);
  }
}
