// The three dialogs. Each is made when it opens and thrown away when it closes, so that nothing of it stays behind.

import * as api from "./api.js";
import { byId, copyOf, fillBadge, one, showCheck } from "./dom.js";
import * as toasts from "./toasts.js";

const NAME_MAX = 255;
/** After this long a delete says what it waits for. */
const EXPLAINED_AFTER = 1000;

/** Opens a dialog; resolves when it has closed and is gone. */
function open(dialog, mayClose = () => true) {
  document.body.append(dialog);
  // The second Escape in a row closes a dialog whatever its `cancel` event says, so the key itself is stopped; on the
  // document, as a button that was disabled has lost the focus to it.
  const stay = (event) => {
    if (event.key === "Escape" && !mayClose()) event.preventDefault();
  };
  document.addEventListener("keydown", stay);
  dialog.addEventListener("cancel", (event) => {
    if (!mayClose()) event.preventDefault();
  });
  dialog.showModal();
  toasts.follow();
  return new Promise((resolve) => {
    dialog.addEventListener("close", () => {
      document.removeEventListener("keydown", stay);
      document.body.append(byId("toasts"));
      dialog.remove();
      toasts.follow();
      resolve();
    });
  });
}

/** Only the button is busy: messages in a busy dialog may not be read out. */
function setBusy(dialog, value) {
  const confirm = one("[data-confirm]", dialog);
  confirm.disabled = value;
  confirm.setAttribute("aria-busy", String(value));
  if (!value) confirm.focus();
}

const isBusy = (dialog) => one("[data-confirm]", dialog).disabled;

/** Asks for what a token needs and creates it. Gives the token with its value; nothing if there is none. */
export async function create() {
  const dialog = copyOf("create-dialog");
  const form = one("form", dialog);
  const nameProblem = one("#name-problem", dialog);
  const places = { name: nameProblem, type: one("#type-problem", dialog), years_valid: one("#years-problem", dialog) };
  let key = api.uuid();
  let created = null;
  let unclear = false;

  const tell = (fields) => {
    for (const [field, place] of Object.entries(places)) place.textContent = fields[field] ?? "";
    const invalid = Boolean(fields.name);
    one("#name", form).setAttribute("aria-invalid", String(invalid));
    if (invalid) one("#name", form).focus();
  };
  form.addEventListener("change", () => {
    one("[data-realtime]", dialog).hidden = form.type.value !== "realtime";
  });
  one("#name", form).addEventListener("input", () => {
    tell({});
    toasts.clear();
  });
  one("[data-cancel]", dialog).addEventListener("click", () => dialog.close());

  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    if (isBusy(dialog)) return;
    const name = one("#name", form).value.trim();
    const problem = nameRule(name);
    if (problem) {
      tell({ name: problem });
      toasts.error({ message: problem });
      return;
    }
    tell({});
    toasts.clear();
    setBusy(dialog, true);
    one("[data-cancel]", dialog).disabled = true;
    try {
      const years = Number(form.years.value);
      created = await api.create({ name, type: form.type.value, years_valid: years }, key);
      dialog.close();
    } catch (failure) {
      if (failure.kind === "forbidden") {
        unclear = true;
        dialog.close();
        return;
      }
      // Refused: nothing was created, and the next try is another one. Otherwise it may have been: a repeat replaces it.
      if (failure.kind === "unknown") unclear = true;
      else if (failure.kind === "refused") key = api.uuid();
      setBusy(dialog, false);
      one("[data-cancel]", dialog).disabled = false;
      tell(failure.fields);
      toasts.error(failure);
    }
  });
  // While it is under way the dialog stays, so that its outcome is seen.
  await open(dialog, () => !isBusy(dialog));
  if (!unclear) toasts.clear();
  return { created, changed: unclear || created !== null };
}

function nameRule(name) {
  if (name === "") return "Token name required";
  if ([...name].length > NAME_MAX) return `Token name must have at most ${NAME_MAX} characters`;
  return "";
}

/** Shows a token's value, this once. */
export async function showCreated(token) {
  const dialog = copyOf("created-dialog");
  const part = (name) => one(`[data-${name}]`, dialog);
  part("name").textContent = token.name;
  fillBadge(part("type"), token.type);
  part("value").textContent = token.token_value;
  part("realtime").hidden = token.type !== "realtime";
  // From now on the value is in this dialog only.
  delete token.token_value;

  let stored = false;
  const unlock = (isStored) => {
    stored = isStored;
    part("close").disabled = !stored;
    part("hint").textContent = stored ? "" : "Copy the token to close this dialog";
  };
  const select = () => getSelection().selectAllChildren(part("value"));

  part("copy").addEventListener("click", async () => {
    try {
      await navigator.clipboard.writeText(part("value").textContent);
      showCheck(part("copy"));
      toasts.success("Token copied to clipboard");
      unlock(true);
    } catch {
      part("value").focus();
      select();
      one(".stored", dialog).hidden = false;
      part("hint").textContent = "The browser does not let this page copy: copy the selected token by hand";
      toasts.error({ message: "The token could not be copied.\nIt is selected: copy it by hand, and then say that you have stored it." });
    }
  });
  // By hand: by the keyboard, or by the browser's menu.
  dialog.addEventListener("copy", () => {
    if (getSelection().toString().includes(part("value").textContent)) {
      toasts.success("Token copied to clipboard");
      unlock(true);
    }
  });
  part("value").addEventListener("dblclick", select);
  part("value").addEventListener("keydown", (event) => {
    if ((event.ctrlKey || event.metaKey) && event.key === "a") {
      event.preventDefault();
      select();
    }
  });
  part("stored").addEventListener("change", (event) => {
    toasts.clear();
    unlock(event.target.checked);
  });
  part("close").addEventListener("click", () => dialog.close());

  const stay = (event) => {
    if (!stored) event.preventDefault();
  };
  // A page that the browser keeps for the way back must not keep the value.
  const forget = () => part("value").replaceChildren();
  const leave = () => {
    forget();
    dialog.close();
  };
  addEventListener("beforeunload", stay);
  addEventListener("pagehide", leave);
  const closed = open(dialog, () => false);
  part("copy").focus();
  await closed;
  forget();
  getSelection().removeAllRanges();
  removeEventListener("beforeunload", stay);
  removeEventListener("pagehide", leave);
}

/** Asks whether a token is to be deleted, and deletes it. Says whether the list may have changed. */
export async function remove(token) {
  const dialog = copyOf("delete-dialog");
  one("[data-name]", dialog).textContent = token.name;
  one("[data-cancel]", dialog).addEventListener("click", () => dialog.close());
  let changed = false;
  let work = Promise.resolve();
  one("[data-confirm]", dialog).addEventListener("click", () => {
    work = confirmed();
  });

  async function confirmed() {
    setBusy(dialog, true);
    const toast = toasts.loading("Deleting token…");
    const explain = setTimeout(() => {
      toast.say(
        "loading",
        "Deleting token…\nWaiting until every service has confirmed that it no longer accepts the token. " +
          "If one can't be reached this takes some seconds more.",
      );
    }, EXPLAINED_AFTER);
    changed = true;
    try {
      await api.remove(token.id);
      toasts.success("Token deleted successfully", toast);
      dialog.close();
    } catch (failure) {
      if (failure.kind === "forbidden") dialog.close();
      if (failure.kind === "unknown") failure.message += "\nThe token may still be accepted: delete it again to be sure";
      toasts.error(failure, toast);
      if (dialog.open) setBusy(dialog, false);
    } finally {
      clearTimeout(explain);
    }
  }

  await open(dialog);
  await work;
  return changed;
}
