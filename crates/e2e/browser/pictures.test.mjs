// Every state of the page: what axe-core finds in it, and a picture of it, wide and narrow, light and dark.

import assert from "node:assert/strict";
import { test } from "node:test";

import { addToken, fillIn, launch, loaded, person, picture, row, signIn, toast, violations } from "./browser.mjs";
import { Server } from "./server.mjs";

const NAMES = [
  ["Podcast archive", "batch"], ["Call centre, nightly run", "batch"], ["Live captions for the parliament", "realtime"],
  ["Testing Environment", "batch"], ["مفتاح الترجمة الفورية", "realtime"], ["Production Integration", "batch"],
];

test("every state is as it should be for assistive technology, and is drawn", async () => {
  const server = await Server.start({ args: ["--next-step", "API Documentation=/docs", "--next-step", "Usage & Limits=/usage"] });
  const browser = await launch();
  try {
    const page = await person(browser, server);
    await loaded(page);
    const found = [];
    const draw = async (name) => found.push(...(await picture(page, name)));
    await draw("empty");

    for (const [name, type] of NAMES.toReversed()) await server.create(name, type);
    await page.reload();
    await row(page, "Podcast archive").waitFor();
    await draw("list");
    await addToken(page).click();
    const create = page.getByRole("dialog", { name: "Create API Key" });
    await draw("create");
    await create.getByRole("radio", { name: "Realtime" }).check();
    await create.getByRole("button", { name: "Create" }).click();
    await draw("create-realtime-invalid");
    let go;
    const held = new Promise((resolve) => (go = resolve));
    await page.route("**/api/v3/tokens", async (route) => {
      if (route.request().method() === "POST") await held;
      await route.continue();
    });
    await create.getByLabel("Token name").fill("Court room 3");
    await create.getByRole("button", { name: "Create" }).click();
    await draw("creating");
    go();
    const success = page.getByRole("dialog", { name: "Token created successfully" });
    await success.waitFor();
    await page.unroute("**/api/v3/tokens");
    await draw("created-realtime");
    await success.getByRole("button", { name: "Copy" }).click();
    await draw("copied");
    await success.getByRole("button", { name: "Close" }).click();
    await fillIn(page, "Archive of 2026");
    await success.waitFor();
    await page.evaluate(() => {
      Object.defineProperty(navigator, "clipboard", { value: { writeText: () => Promise.reject(new Error("no")) } });
    });
    await success.getByRole("button", { name: "Copy" }).click();
    await draw("clipboard-refused");
    await success.getByLabel("I have stored it").check();
    await success.getByRole("button", { name: "Close" }).click();

    await row(page, "Court room 3").getByRole("button", { name: /^Delete token/ }).click();
    await draw("delete");
    let release;
    const waiting = new Promise((resolve) => (release = resolve));
    await page.route("**/api/v3/tokens/*", async (route) => {
      await waiting;
      await route.continue();
    });
    await page.getByRole("alertdialog").getByRole("button", { name: "Delete" }).click();
    await toast(page, "Waiting until every service").waitFor();
    await draw("deleting");
    release();
    await toast(page, "Token deleted successfully").waitFor();
    await draw("deleted");

    // Expired rows, long names and names from right to left, as the API could answer.
    const odd = [
      { id: 9, key: "gk_b_4fZk91Qd", name: "Ended last year", type: "batch", expires: "2025-11-25T08:00:00Z" },
      { id: 8, key: "gk_r_0aB1cD2e", name: "W".repeat(255), type: "realtime", expires: "2027-01-01T08:00:00Z" },
      { id: 7, key: "gk_r_0aB1cD2f", name: "שם מימין לשמאל (v2)", type: "realtime", expires: "2031-01-01T08:00:00Z" },
    ];
    await page.route("**/api/v3/tokens", (route) => route.fulfill({ json: { tokens: odd } }));
    await page.reload();
    await row(page, "Ended last year").waitFor();
    assert.ok(await row(page, "Ended last year").getByText("Expired").isVisible());
    assert.equal(await row(page, "WWW").getByText("Expired", { exact: true }).isVisible(), false);
    await draw("odd-names");
    await page.unroute("**/api/v3/tokens");

    await page.route("**/api/v3/tokens", () => {});
    await page.reload();
    await page.locator("#loading").waitFor();
    await draw("loading");
    await page.unroute("**/api/v3/tokens");
    await page.route("**/api/v3/tokens", (route) => route.fulfill({ status: 503, json: { message: "the token store can't be reached; try again", detail: [] } }));
    await page.reload();
    await page.getByRole("button", { name: "Retry" }).waitFor();
    await draw("problem");
    await page.unroute("**/api/v3/tokens");
    await page.context().clearCookies();
    await page.getByRole("button", { name: "Retry" }).click();
    await page.getByText("Your session has ended").waitFor();
    await draw("session-ended");

    await page.goto(`${server.url}dev/sign-in`);
    await draw("sign-in");
    await signIn(page, server, ["admin"]);
    await page.getByText("This page is for developers").waitFor();
    await draw("notice");
    assert.deepEqual(found, []);
    assert.deepEqual(page.problems, []);

    // The tool itself works.
    await page.goto("about:blank");
    await page.setContent("<html><body><img src='x'><input></body></html>");
    assert.ok((await violations(page)).some((violation) => violation.startsWith("image-alt")));
  } finally {
    await browser.close();
    await server.stop();
  }
});
