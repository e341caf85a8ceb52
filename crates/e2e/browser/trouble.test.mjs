// What people see when something goes wrong: the server dies, an answer is lost, the session ends, another tab is there.

import assert from "node:assert/strict";
import { test } from "node:test";

import { addToken, createAndCopy, fillIn, loaded, row, toast } from "./browser.mjs";
import { comeBack, gate, scene } from "./scene.mjs";

/** A delete after the death of a server waits for its lease. */
const SHORT_LEASE = { args: ["--lease", "3"] };

const creation = (page) => page.getByRole("dialog", { name: "Create API Key" });
const success = (page) => page.getByRole("dialog", { name: "Token created successfully" });
const deletion = (page) => page.getByRole("alertdialog", { name: "Delete token" });
const askToDelete = (page, name) => row(page, name).getByRole("button", { name: `Delete token ${name}` }).click();
const confirm = (page) => deletion(page).getByRole("button", { name: "Delete" });
const sent = (page, method) => page.waitForRequest((request) => request.method() === method && request.url().includes("/api/v3/tokens"));

/** The server does what it is asked, and its answer is lost. */
const loseAnswer = (page, method, meanwhile = async () => {}) =>
  page.route("**/api/v3/tokens{,/*}", async (route) => {
    if (route.request().method() !== method) return route.fallback();
    await route.fetch();
    await meanwhile();
    return route.abort("connectionreset");
  });

async function finish(page) {
  await success(page).getByRole("button", { name: "Copy" }).click();
  await success(page).getByRole("button", { name: "Close" }).click();
  await success(page).waitFor({ state: "detached" });
}

/** Another server in the place of the one that died. */
async function replaced(server, work) {
  const other = await server.again();
  try {
    await work(other);
  } finally {
    await other.kill();
  }
}

test(
  "the server dies in mid-create",
  scene(async ({ page, server }) => {
    server.signal("SIGSTOP");
    const asked = sent(page, "POST");
    const dialog = await fillIn(page, "Precious input", { type: "Realtime", years: "5 Years" });
    const first = (await asked).headers()["idempotency-key"];
    assert.match(first, /^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/);
    assert.ok(await dialog.getByRole("button", { name: "Create" }).isDisabled());
    assert.ok(await dialog.getByRole("button", { name: "Cancel" }).isDisabled());
    await server.kill();
    await toast(page, "An error occurred while creating the token").waitFor();
    await toast(page, "The server can't be reached").waitFor();
    assert.ok(await dialog.isVisible());
    assert.equal(await dialog.getByLabel("Token name").inputValue(), "Precious input");
    assert.ok(await dialog.getByRole("radio", { name: "Realtime" }).isChecked());
    assert.ok(await dialog.getByRole("radio", { name: "5 Years" }).isChecked());
    const create = dialog.getByRole("button", { name: "Create" });
    assert.ok(await create.isEnabled());
    // Down still.
    await create.click();
    await toast(page, "The server can't be reached").waitFor();
    await replaced(server, async (other) => {
      const again = sent(page, "POST");
      await create.click();
      assert.equal((await again).headers()["idempotency-key"], first, "the same request, again");
      await success(page).waitFor();
      assert.equal(await toast(page, "can't be reached").count(), 0, "what went wrong is over");
      await finish(page);
      assert.deepEqual(await other.names(), ["Precious input"]);
      await row(page, "Precious input").waitFor();
    });
  }),
);

test(
  "a create whose answer is lost leaves no token that nobody holds",
  scene(async ({ page, server }) => {
    // The server does it, and dies before it could say so.
    await loseAnswer(page, "POST", () => server.kill());
    const dialog = await fillIn(page, "Twice");
    await toast(page, "The server can't be reached").waitFor();
    await page.unroute("**/api/v3/tokens{,/*}");
    await replaced(server, async (other) => {
      const lost = (await other.call("GET", "tokens")).body.tokens;
      assert.equal(lost.length, 1, "there is one that nobody holds");
      await dialog.getByRole("button", { name: "Create" }).click();
      await success(page).waitFor();
      await finish(page);
      const { body } = await other.call("GET", "tokens");
      assert.deepEqual(body.tokens.map((token) => token.name), ["Twice"]);
      assert.notEqual(body.tokens[0].id, lost[0].id, "it was replaced");

      // Who gives up sees it, and can delete it.
      await loseAnswer(page, "POST");
      await fillIn(page, "Given up");
      await toast(page, "The server can't be reached").waitFor();
      await dialog.getByRole("button", { name: "Cancel" }).click();
      await row(page, "Given up").waitFor();
    });
  }, SHORT_LEASE),
);

test(
  "a refused create is another one the next time",
  scene(async ({ page }) => {
    const keys = [];
    page.on("request", (request) => request.method() === "POST" && keys.push(request.headers()["idempotency-key"]));
    const answers = [[503, { message: "try again" }], [422, { message: "no" }], [413, null]];
    await page.route("**/api/v3/tokens", (route) => {
      if (route.request().method() !== "POST" || answers.length === 0) return route.continue();
      const [status, json] = answers.shift();
      return route.fulfill({ status, headers: { "x-request-id": "r-17" }, ...(json ? { json } : { body: "<html>" }) });
    });
    const dialog = await fillIn(page, "Patient");
    await toast(page, "try again\nRequest id r-17").waitFor();
    await dialog.getByRole("button", { name: "Create" }).click();
    await toast(page, "no").waitFor();
    assert.equal(await toast(page, "Request id").count(), 0, "a refusal is the caller's to mend");
    await dialog.getByRole("button", { name: "Create" }).click();
    await toast(page, "An error occurred while creating the token").waitFor();
    await dialog.getByRole("button", { name: "Create" }).click();
    await finish(page);
    assert.equal(keys.length, 4);
    assert.equal(keys[0], keys[1], "after an unknown outcome: the same");
    assert.notEqual(keys[1], keys[2], "after a refusal: another");
    assert.equal(keys[2], keys[3], "what stands in front can't say that nothing was done");
    await createAndCopy(page, "Next");
    assert.notEqual(keys[3], keys[4], "each dialog has its own");
  }),
);

test(
  "where the browser makes no UUIDs, the page does",
  scene(async ({ page }) => {
    await page.addInitScript(() => (Crypto.prototype.randomUUID = undefined));
    await page.reload();
    await loaded(page);
    const asked = sent(page, "POST");
    await fillIn(page, "Plain");
    assert.match((await asked).headers()["idempotency-key"], /^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/);
    await finish(page);
  }),
);

test(
  "the server dies in mid-delete",
  scene(async ({ page, server }) => {
    await server.create("Doomed");
    await comeBack(page);
    await askToDelete(page, "Doomed");
    server.signal("SIGSTOP");
    const asked = sent(page, "DELETE");
    await confirm(page).click();
    await asked;
    await toast(page, "Deleting token…").waitFor();
    await server.kill();
    await toast(page, "An error has occurred").waitFor();
    await toast(page, "delete it again to be sure").waitFor();
    assert.equal(await toast(page, "Deleting token…").count(), 0);
    assert.ok(await deletion(page).isVisible());
    assert.ok(await confirm(page).isEnabled());
    await replaced(server, async (other) => {
      assert.deepEqual(await other.names(), ["Doomed"]);
      // Done, after the lease of the one that died; and the answer lost.
      await loseAnswer(page, "DELETE");
      await confirm(page).click();
      await toast(page, "Waiting until every service has confirmed").waitFor();
      await toast(page, "An error has occurred").waitFor();
      await page.unroute("**/api/v3/tokens{,/*}");
      assert.deepEqual(await other.names(), []);
      await confirm(page).click();
      await toast(page, "Token deleted successfully").waitFor();
      await page.getByText("No API keys yet").waitFor();
    });
  }, SHORT_LEASE),
);

test(
  "a delete goes on when its dialog is closed",
  scene(async ({ page, server }) => {
    await server.create("Slow");
    await server.create("Other");
    await comeBack(page);
    const { open, opened } = gate();
    await page.route("**/api/v3/tokens/*", async (route) => {
      await opened;
      await route.continue();
    });
    await askToDelete(page, "Slow");
    await confirm(page).click();
    await toast(page, "Deleting token…").waitFor();
    await page.keyboard.press("Escape");
    await deletion(page).waitFor({ state: "detached" });
    await askToDelete(page, "Other");
    await toast(page, "Deleting token…").waitFor();
    open();
    await toast(page, "Token deleted successfully").waitFor();
    assert.ok(await deletion(page).isVisible(), "another dialog is not disturbed");
    await deletion(page).getByRole("button", { name: "Cancel" }).click();
    await row(page, "Slow").waitFor({ state: "detached" });
    assert.deepEqual(await server.names(), ["Other"]);
    assert.notEqual(await page.evaluate(() => document.activeElement.tagName), "BODY");
  }),
);

test(
  "two tabs",
  scene(async ({ page, server }) => {
    const other = await page.context().newPage();
    await other.goto(server.url);
    await loaded(other);
    // A tab in the background draws once a second.
    await page.bringToFront();
    await createAndCopy(page, "From the first");
    await row(other, "From the first").waitFor();
    // A dialog is not disturbed, and the list is fresh when it closes.
    await other.bringToFront();
    await addToken(other).click();
    await creation(other).getByLabel("Token name").fill("half of a na");
    await page.bringToFront();
    await createAndCopy(page, "Meanwhile");
    await askToDelete(page, "From the first");
    await confirm(page).click();
    await row(page, "From the first").waitFor({ state: "detached" });
    assert.equal(await creation(other).getByLabel("Token name").inputValue(), "half of a na");
    assert.ok(await creation(other).getByLabel("Token name").evaluate((input) => input === document.activeElement));
    await other.bringToFront();
    await creation(other).getByRole("button", { name: "Cancel" }).click();
    await row(other, "Meanwhile").waitFor();
    await row(other, "From the first").waitFor({ state: "detached" });
    // Both delete the same one.
    await askToDelete(other, "Meanwhile");
    await page.bringToFront();
    await askToDelete(page, "Meanwhile");
    await confirm(page).click();
    await toast(page, "Token deleted successfully").waitFor();
    await other.bringToFront();
    await confirm(other).click();
    await toast(other, "Token deleted successfully").waitFor();
    await other.getByText("No API keys yet").waitFor();
    // What another program did is seen when the person comes back.
    await server.create("By a program");
    await comeBack(other);
    await row(other, "By a program").waitFor();
    // A look for news changes nothing of what is there: the focus, a selection.
    await row(other, "By a program").getByRole("button", { name: /^Copy key/ }).focus();
    await other.locator("#rows code").evaluate((code) => getSelection().selectAllChildren(code));
    const selected = await other.evaluate(() => getSelection().toString());
    await server.create("Another program");
    await comeBack(other);
    await row(other, "Another program").waitFor();
    assert.equal(await other.evaluate(() => getSelection().toString()), selected);
    assert.match(await other.evaluate(() => document.activeElement.ariaLabel), /^Copy key/);
  }),
);

test(
  "a session that ends",
  scene(async ({ page, server }) => {
    const context = page.context();
    await server.create("Archive");
    await comeBack(page);
    await row(page, "Archive").waitFor();
    const ended = toast(page, "Your session has ended");

    /** Signs in again in the tab that the message leads to. */
    async function signInAgain() {
      const [tab] = await Promise.all([context.waitForEvent("page"), page.getByRole("link", { name: /^Sign in again/ }).click()]);
      await tab.getByRole("button", { name: "Sign in" }).click();
      await loaded(tab);
      await tab.close();
    }

    // In the list: what is shown stays.
    await context.clearCookies();
    await comeBack(page);
    await ended.waitFor();
    assert.ok(await row(page, "Archive").isVisible());
    await signInAgain();
    await comeBack(page);
    await ended.waitFor({ state: "detached" });

    // In the create dialog: what was typed stays.
    await context.clearCookies();
    await fillIn(page, "Typed with care", { years: "2 Years" });
    await ended.waitFor();
    assert.equal(await creation(page).getByLabel("Token name").inputValue(), "Typed with care");
    await signInAgain();
    assert.ok(await creation(page).getByRole("radio", { name: "2 Years" }).isChecked());
    await creation(page).getByRole("button", { name: "Create" }).click();
    await finish(page);
    assert.equal(await ended.count(), 0);
    assert.deepEqual(await server.names(), ["Typed with care", "Archive"]);

    // In a delete.
    await askToDelete(page, "Archive");
    await context.clearCookies();
    await confirm(page).click();
    await ended.waitFor();
    await signInAgain();
    await confirm(page).click();
    await toast(page, "Token deleted successfully").waitFor();
    assert.deepEqual(await server.names(), ["Typed with care"]);

    // Whoever signs people in may send the call to the issuer instead of answering 401. A server in between does so here.
    await page.route("**/api/v3/**", (route) => route.fulfill({ status: 302, headers: { location: "https://login.example.com/" } }));
    await comeBack(page);
    await ended.waitFor();
    await page.reload();
    await page.getByText("Your session has ended").waitFor();
    await page.unroute("**/api/v3/**");
    await page.getByRole("button", { name: "Retry" }).click();
    await row(page, "Typed with care").waitFor();
  }),
);

test(
  "a loader, an error with retry, and an empty list",
  scene(async ({ page, server }) => {
    const { open, opened } = gate();
    await page.route("**/api/v3/tokens", async (route) => {
      await opened;
      await route.abort("connectionreset");
    });
    await page.reload();
    const loader = page.getByRole("status").filter({ hasText: "Loading API keys" });
    await loader.waitFor();
    const centred = await page.locator(".loader").evaluate((element) => {
      const { left, right, top, bottom } = element.getBoundingClientRect();
      const area = element.closest(".state").getBoundingClientRect();
      return [left + right - area.left - area.right, top + bottom - area.top - area.bottom].map((off) => Math.abs(off) < 30);
    });
    assert.deepEqual(centred, [true, true]);
    open();
    await page.getByRole("alert").filter({ hasText: "The server can't be reached" }).waitFor();
    assert.equal(await loader.isVisible(), false);
    assert.equal(await page.locator("#grid").isVisible(), false);
    await page.unroute("**/api/v3/tokens");
    await page.getByRole("button", { name: "Retry" }).click();
    await page.getByText("No API keys yet").waitFor();
    assert.ok(await addToken(page).evaluate((button) => button === document.activeElement), "the focus is not lost");

    // With a list on the screen a failure takes nothing away.
    await server.create("Archive");
    await comeBack(page);
    await row(page, "Archive").waitFor();
    await server.kill();
    await comeBack(page);
    await toast(page, "The server can't be reached").waitFor();
    assert.ok(await row(page, "Archive").isVisible());
  }),
);
