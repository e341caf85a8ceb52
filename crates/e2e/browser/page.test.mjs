// What people do on the page: the guide, by mouse and by keyboard.

import assert from "node:assert/strict";
import { after, before, beforeEach, test } from "node:test";

import { addToken, fillIn, launch, loaded, person, row, toast } from "./browser.mjs";
import { Server } from "./server.mjs";

const NEXT = ["--next-step", "API Documentation=/docs", "--next-step", "Usage & Limits=https://example.com/usage"];
let browser, server;

before(async () => {
  browser = await launch();
});
after(() => browser.close());
beforeEach(async () => {
  server = await Server.start({ args: NEXT });
});

/** A test with a server of its own and a developer on its page. */
function onPage(name, work, options = {}) {
  test(name, async () => {
    const page = await person(browser, server, options);
    try {
      await loaded(page);
      await work(page);
      assert.deepEqual(page.problems, []);
    } finally {
      await page.context().close();
      await server.stop();
    }
  });
}

const created = (page) => page.getByRole("dialog", { name: "Token created successfully" });
const deletion = (page) => page.getByRole("alertdialog", { name: "Delete token" });
const style = (locator, property) => locator.evaluate((element, property) => getComputedStyle(element)[property], property);

/** From now on the page's time goes on only by `page.clock.fastForward`. */
async function stopClock(page) {
  await page.clock.install();
  await page.clock.pauseAt(Date.now() + 60_000);
}

onPage("the grid shows every token, newest first", async (page) => {
  await server.create("Production Integration");
  await server.create("Live captions", "realtime");
  await page.reload();
  await loaded(page);
  assert.equal(await page.title(), "API keys");
  assert.equal(await page.getByRole("heading", { level: 1 }).textContent(), "API keys");
  await page.getByText("Create and manage API keys for programmatic access").waitFor();
  assert.ok(await addToken(page).locator("svg").isVisible());
  assert.deepEqual(await page.getByRole("columnheader").allInnerTexts(), ["ID", "Name", "Key", "Type", "Expires", "Actions"]);
  const cells = async (number) => (await page.locator("#rows tr").nth(number).getByRole("cell").allInnerTexts()).map((text) => text.trim());
  const [id, name, key, type, expires] = await cells(0);
  assert.deepEqual([id, name, type], ["2", "Live captions", "REALTIME"]);
  assert.match(key, /^gk_r_[A-Za-z0-9]{8}$/);
  assert.match(expires, /^\d{1,2} \w+ 20\d\d$/);
  assert.deepEqual((await cells(1)).slice(0, 2), ["1", "Production Integration"]);
  // Blue and green: the strongest part of each colour.
  const colour = async (text) => (await style(page.locator(".badge", { hasText: text }), "color")).match(/[\d.]+/g).map(Number);
  const [, green, blue] = await colour("REALTIME");
  assert.ok(blue > green);
  const batch = await colour("BATCH");
  assert.ok(batch[1] > batch[0] && batch[1] > batch[2]);
  assert.match(await style(page.locator("#rows code").first(), "fontFamily"), /mono/);
  const stripes = await page.locator("#rows tr").evaluateAll((rows) => rows.map((row) => getComputedStyle(row).backgroundColor));
  assert.notEqual(stripes[0], stripes[1]);
  const height = await page.locator("#grid").evaluate((grid) => grid.getBoundingClientRect().height / innerHeight);
  assert.ok(Math.abs(height - 0.79) < 0.01, String(height));
  // Nothing to sort, filter, select, turn pages or edit with.
  assert.equal(await page.locator("#grid :is(input, select, textarea, [contenteditable], th button)").count(), 0);
  const links = await page.getByRole("navigation").getByRole("link").evaluateAll((all) => all.map((one) => [one.textContent, one.getAttribute("href")]));
  assert.deepEqual(links, [["API Documentation", "/docs"], ["Usage & Limits", "https://example.com/usage"]]);
});

onPage("the create dialog asks for everything that a token needs", async (page) => {
  await addToken(page).click();
  const dialog = page.getByRole("dialog", { name: "Create API Key" });
  assert.equal(await dialog.getByLabel("Token name").evaluate((input) => input === document.activeElement), true);
  await dialog.getByText("Production Integration").waitFor();
  await dialog.getByText("Store the data then process it").waitFor();
  await dialog.getByText("Process data as it comes").waitFor();
  assert.ok(await dialog.getByRole("radio", { name: "Batch" }).isChecked());
  assert.ok(await dialog.getByRole("radio", { name: "1 Year recommended" }).isChecked());
  for (const years of ["2 Years", "5 Years"]) assert.equal(await dialog.getByRole("radio", { name: years }).isChecked(), false);
  const banner = dialog.getByText("Authorization: Bearer YOUR_TOKEN_HERE");
  assert.equal(await banner.isVisible(), false);
  await dialog.getByRole("radio", { name: "Realtime" }).check();
  await banner.waitFor();
  await page.mouse.click(5, 5);
  assert.ok(await dialog.isVisible(), "a click outside does not close it");
  await dialog.getByRole("button", { name: "Cancel" }).click();
  await dialog.waitFor({ state: "detached" });
  assert.ok(await addToken(page).evaluate((button) => button === document.activeElement), "the focus is back");
  assert.deepEqual(await server.names(), []);
});

onPage("a token is created, copied and deleted by keyboard alone", async (page) => {
  await page.keyboard.press("Tab");
  assert.ok(await addToken(page).evaluate((button) => button === document.activeElement));
  await page.keyboard.press("Enter");
  await page.getByRole("dialog", { name: "Create API Key" }).waitFor();
  await page.keyboard.type("By hand");
  await page.keyboard.press("Tab");
  await page.keyboard.press("ArrowDown");
  // The banner's example can be scrolled, so it takes the focus once.
  await page.keyboard.press("Tab");
  await page.keyboard.press("Tab");
  await page.keyboard.press("ArrowRight");
  await page.keyboard.press("Enter");
  await created(page).waitFor();
  assert.ok(await created(page).getByRole("button", { name: "Copy" }).evaluate((button) => button === document.activeElement));
  await page.keyboard.press("Enter");
  await toast(page, "Token copied to clipboard").waitFor();
  const value = await page.evaluate(() => navigator.clipboard.readText());
  assert.match(value, /^gk_r_\w+$/);
  const close = created(page).getByRole("button", { name: "Close" });
  for (let presses = 0; presses < 12 && !(await close.evaluate((button) => button === document.activeElement)); presses++) {
    await page.keyboard.press("Tab");
  }
  await page.keyboard.press("Enter");
  await created(page).waitFor({ state: "detached" });
  const { body } = await server.call("GET", "tokens");
  assert.deepEqual(body.tokens.map(({ name, type }) => [name, type]), [["By hand", "realtime"]]);
  const years = (new Date(body.tokens[0].expires) - Date.now()) / 31_557_600_000;
  assert.ok(years > 1.9 && years < 2.1, String(years));

  assert.ok(await addToken(page).evaluate((button) => button === document.activeElement), "the focus is back");
  const remove = row(page, "By hand").getByRole("button", { name: "Delete token By hand" });
  for (let presses = 0; presses < 6 && !(await remove.evaluate((button) => button === document.activeElement)); presses++) {
    await page.keyboard.press("Tab");
  }
  await page.keyboard.press("Enter");
  await deletion(page).waitFor();
  await page.keyboard.press("Escape");
  await deletion(page).waitFor({ state: "detached" });
  assert.deepEqual(await server.names(), ["By hand"]);
  assert.ok(await remove.evaluate((button) => button === document.activeElement), "the focus is back");
  await page.keyboard.press("Enter");
  await deletion(page).waitFor();
  // The focus is on Delete.
  await page.keyboard.press("Enter");
  await toast(page, "Token deleted successfully").waitFor();
  await page.getByText("No API keys yet").waitFor();
  assert.deepEqual(await server.names(), []);
  assert.notEqual(await page.evaluate(() => document.activeElement.tagName), "BODY");
});

onPage("a name is required, and at most 255 characters", async (page) => {
  const dialog = await fillIn(page, "   ");
  await toast(page, "Token name required").waitFor();
  await dialog.locator(".problem", { hasText: "Token name required" }).waitFor();
  const name = dialog.getByLabel("Token name");
  assert.equal(await name.getAttribute("aria-invalid"), "true");
  await name.fill("x".repeat(256));
  await dialog.getByRole("button", { name: "Create" }).click();
  await dialog.locator(".problem", { hasText: "at most 255 characters" }).waitFor();
  // Each of these is two units of UTF-16, and one character.
  await name.fill("😀".repeat(255));
  await dialog.getByRole("button", { name: "Create" }).click();
  await created(page).waitFor();
});

onPage("Create is disabled while the token is created", async (page) => {
  let go;
  const held = new Promise((resolve) => (go = resolve));
  await page.route("**/api/v3/tokens", async (route) => {
    if (route.request().method() === "POST") await held;
    await route.continue();
  });
  const dialog = await fillIn(page, "slow");
  const create = dialog.getByRole("button", { name: "Create" });
  assert.ok(await create.isDisabled());
  assert.ok(await create.locator(".spinner").isVisible());
  await page.keyboard.press("Escape");
  await page.keyboard.press("Escape");
  assert.ok(await dialog.isVisible(), "its outcome will be seen");
  go();
  await created(page).waitFor();
  assert.deepEqual(await server.names(), ["slow"]);
});

onPage("the value is shown once, with all that belongs to it", async (page) => {
  await fillIn(page, "Production Integration", { years: "5 Years" });
  const dialog = created(page);
  await dialog.getByText("Production Integration").waitFor();
  assert.equal(await dialog.locator(".badge").innerText(), "BATCH");
  const code = dialog.locator("[data-value]");
  const value = await code.innerText();
  assert.match(value, /^gk_b_[A-Za-z0-9]+$/);
  assert.match(await style(code, "fontFamily"), /mono/);
  await dialog.getByText("This is the only time you will be able to see this token").waitFor();
  await dialog.getByText("Copy and store it securely").waitFor();
  const copy = dialog.getByRole("button", { name: "Copy" });
  assert.ok(await copy.locator(".clipboard").isVisible());
  await stopClock(page);
  await copy.click();
  await toast(page, "Token copied to clipboard").waitFor();
  assert.equal(await page.evaluate(() => navigator.clipboard.readText()), value);
  await page.clock.fastForward(2900);
  assert.ok(await copy.locator(".check").isVisible());
  await page.clock.fastForward(200);
  await copy.locator(".clipboard").waitFor();
  assert.equal(await copy.locator(".check").isVisible(), false);
});

onPage("a realtime token comes with examples", async (page) => {
  await fillIn(page, "Live captions", { type: "Realtime" });
  const dialog = created(page);
  const value = await dialog.locator("[data-value]").innerText();
  for (const way of ["curl", "gRPC", "WebSocket"]) {
    const title = dialog.locator("summary").getByText(way, { exact: true });
    const example = dialog.getByLabel(`Example for ${way}`);
    if (!(await example.isVisible())) await title.click();
    assert.match(await example.innerText(), /[Aa]uthorization: Bearer YOUR_TOKEN_HERE/);
    assert.ok(!(await example.innerText()).includes(value));
  }
  await dialog.getByRole("button", { name: "Copy" }).click();
  await dialog.getByRole("button", { name: "Close" }).click();
  await fillIn(page, "Archive");
  await dialog.waitFor();
  assert.equal(await dialog.getByText("WebSocket").isVisible(), false, "a batch token has none");
});

onPage("the success dialog stays until the value was copied", async (page) => {
  await fillIn(page, "Stays");
  const dialog = created(page);
  await dialog.waitFor();
  const close = dialog.getByRole("button", { name: "Close" });
  assert.ok(await close.isDisabled());
  for (let times = 0; times < 3; times++) await page.keyboard.press("Escape");
  await page.mouse.click(5, 5);
  assert.ok(await dialog.isVisible());
  // A part of it is not the token.
  await dialog.locator("[data-value]").evaluate((code) => getSelection().setBaseAndExtent(code.firstChild, 0, code.firstChild, 10));
  await page.keyboard.press("Control+c");
  assert.ok(await close.isDisabled());
  await dialog.locator("[data-value]").focus();
  await page.keyboard.press("Control+a");
  await page.keyboard.press("Control+c");
  await toast(page, "Token copied to clipboard").waitFor();
  assert.equal(await page.evaluate(() => navigator.clipboard.readText()), await dialog.locator("[data-value]").innerText());
  await close.click();
  await dialog.waitFor({ state: "detached" });
});

onPage("a clipboard that is refused", async (page) => {
  // As in a page that came without encryption, and as where a policy forbids it.
  await page.evaluate(() => {
    Object.defineProperty(navigator, "clipboard", { value: { writeText: () => Promise.reject(new DOMException("no", "NotAllowedError")) } });
  });
  await fillIn(page, "No clipboard");
  const dialog = created(page);
  const value = await dialog.locator("[data-value]").innerText();
  assert.equal(await dialog.getByLabel("I have stored it").isVisible(), false);
  await dialog.getByRole("button", { name: "Copy" }).click();
  await toast(page, "could not be copied").waitFor();
  assert.equal(await page.evaluate(() => getSelection().toString()), value);
  const close = dialog.getByRole("button", { name: "Close" });
  assert.ok(await close.isDisabled());
  await dialog.getByLabel("I have stored it").check();
  await close.click();
  await dialog.waitFor({ state: "detached" });
  await row(page, "No clipboard").getByRole("button", { name: /Copy key/ }).click();
  await toast(page, "The key could not be copied").waitFor();
  assert.match(await page.evaluate(() => getSelection().toString()), /^gk_b_/);
}, { clipboard: false });

onPage("the key is copied from the grid", async (page) => {
  const { key } = await server.create("Archive");
  await page.reload();
  const copy = row(page, "Archive").getByRole("button", { name: `Copy key ${key}` });
  await copy.click();
  await toast(page, "Key copied to clipboard").waitFor();
  assert.equal(await page.evaluate(() => navigator.clipboard.readText()), key);
  assert.ok(await copy.locator(".check").isVisible());
});

onPage("a token is deleted by mouse", async (page) => {
  const doomed = await server.create('Doomed "token" <b>');
  await server.create("Stays");
  await page.reload();
  await row(page, "Doomed").getByRole("button", { name: /^Delete token/ }).click();
  const dialog = deletion(page);
  assert.ok((await dialog.innerText()).includes('Are you sure you want to delete token "Doomed "token" <b>"?'));
  const confirm = dialog.getByRole("button", { name: "Delete" });
  assert.ok(await confirm.evaluate((button) => button === document.activeElement));
  const [red, green, blue] = (await style(confirm, "backgroundColor")).match(/[\d.]+/g).map(Number);
  assert.ok(red > 2 * green && red > 2 * blue, "it is red");
  await dialog.getByRole("button", { name: "Cancel" }).click();
  await dialog.waitFor({ state: "detached" });
  assert.equal((await server.names()).length, 2);
  await row(page, "Doomed").getByRole("button", { name: /^Delete token/ }).click();
  await confirm.click();
  await toast(page, "Token deleted successfully").waitFor();
  await dialog.waitFor({ state: "detached" });
  await row(page, "Doomed").waitFor({ state: "detached" });
  assert.deepEqual(await server.names(), ["Stays"]);
  assert.equal((await server.call("DELETE", `tokens/${doomed.id}`)).status, 204, "and again");
});

onPage("a delete that waits says what for", async (page) => {
  await server.create("Slow");
  await page.reload();
  await stopClock(page);
  let go;
  const held = new Promise((resolve) => (go = resolve));
  await page.route("**/api/v3/tokens/*", async (route) => {
    await held;
    await route.continue();
  });
  await row(page, "Slow").getByRole("button", { name: /^Delete token/ }).click();
  const confirm = deletion(page).getByRole("button", { name: "Delete" });
  await confirm.click();
  await toast(page, "Deleting token…").waitFor();
  assert.ok(await confirm.isDisabled());
  await page.clock.fastForward(900);
  assert.equal(await toast(page, "Waiting until every service").count(), 0);
  await page.clock.fastForward(200);
  await toast(page, "Waiting until every service has confirmed").waitFor();
  go();
  await toast(page, "Token deleted successfully").waitFor();
});

onPage("errors are shown in every form of the guide", async (page) => {
  await server.create("Archive");
  await page.reload();
  const answer = (status, body) => async (route) => {
    if (route.request().method() === "GET") return route.continue();
    return route.fulfill({ status, contentType: "application/json", body: typeof body === "string" ? body : JSON.stringify(body) });
  };
  const cases = [
    [{ detail: [{ loc: ["body", "name"], msg: "first" }, { loc: [], msg: "second" }] }, "first\nsecond"],
    [{ message: "only a message" }, "only a message"],
    [{ error_description: "only a description" }, "only a description"],
    ["not JSON", "An error occurred while creating the token"],
  ];
  await addToken(page).click();
  const dialog = page.getByRole("dialog", { name: "Create API Key" });
  await dialog.getByLabel("Token name").fill("a");
  for (const [body, text] of cases) {
    await page.route("**/api/v3/tokens", answer(422, body));
    await dialog.getByRole("button", { name: "Create" }).click();
    await page.locator("#toasts [data-kind=error] p").filter({ hasText: text.split("\n")[0] }).waitFor();
    assert.equal(await page.locator("#toasts [data-kind=error] p").innerText(), text);
    await page.unroute("**/api/v3/tokens");
  }
  assert.equal(await dialog.getByLabel("Token name").inputValue(), "a", "the input is kept");
  await dialog.getByRole("button", { name: "Cancel" }).click();
  await page.route("**/api/v3/tokens/*", answer(422, "{}"));
  await row(page, "Archive").getByRole("button", { name: /^Delete token/ }).click();
  await deletion(page).getByRole("button", { name: "Delete" }).click();
  await toast(page, "An error has occurred").waitFor();
  assert.ok(await deletion(page).isVisible(), "it can be tried again");
});
