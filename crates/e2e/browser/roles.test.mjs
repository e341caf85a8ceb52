// Who gets the page, and what of it.

import assert from "node:assert/strict";
import { test } from "node:test";

import { addToken, fillIn, loaded, row, signIn } from "./browser.mjs";
import { comeBack, scene } from "./scene.mjs";

const HOME = ["--home-url", "/livez"];

test(
  "only developers get the page",
  scene(
    async ({ page, server }) => {
      await server.create("Archive");
      const answers = [];
      page.on("response", (response) => answers.push(response.body().then(String, () => "")));
      for (const roles of [["developer"], ["developer", "admin"]]) {
        await signIn(page, server, roles);
        await row(page, "Archive").waitFor();
        assert.ok(await addToken(page).isVisible());
        assert.ok(await row(page, "Archive").getByRole("button", { name: "Delete token Archive" }).isVisible());
        assert.equal(page.url(), server.url);
      }
      assert.ok((await Promise.all(answers)).some((body) => body.includes("Archive")), "a listing would be noticed");
      for (const roles of [["admin"], []]) {
        answers.length = 0;
        await signIn(page, server, roles);
        await page.waitForURL(`${server.url}livez`);
        assert.ok(!(await Promise.all(answers)).some((body) => body.includes("Archive") || body.includes("API keys")));
      }
      // What they may do by the API all the same.
      const { id } = await server.create("Other");
      const { request } = page.context();
      const remove = async () => (await request.delete(`${server.url}api/v3/tokens/${id}`)).status();
      assert.equal(await remove(), 403);
      await signIn(page, server, ["admin"]);
      assert.equal(await remove(), 204);
    },
    { args: HOME },
  ),
);

test(
  "without a home, whoever is no developer is told so",
  scene(async ({ page, server }) => {
    await signIn(page, server, ["admin"]);
    await page.getByRole("heading", { name: "This page is for developers" }).waitFor();
    await page.getByRole("link", { name: "Choose other roles" }).click();
    await page.waitForURL(`${server.url}dev/sign-in`);
    // The page itself, should the API refuse it.
    await signIn(page, server, ["developer"]);
    await loaded(page);
    await page.context().request.post(`${server.url}dev/sign-in`, { form: { tenant: "acme", role: "admin" } });
    await comeBack(page);
    await page.getByRole("button", { name: "Retry" }).waitFor();
    assert.equal(await addToken(page).isVisible(), false);
    assert.equal(await page.locator("#grid").isVisible(), false);
  }),
);

test(
  "a role that is taken away sends home",
  scene(
    async ({ page, server }) => {
      await server.create("Archive");
      const away = () => page.context().request.post(`${server.url}dev/sign-in`, { form: { tenant: "acme", role: "verifier" }, maxRedirects: 0 });
      await away();
      await comeBack(page);
      await page.waitForURL(`${server.url}livez`);

      await signIn(page, server, ["developer"]);
      await loaded(page);
      await away();
      await fillIn(page, "Too late");
      await page.waitForURL(`${server.url}livez`);

      await signIn(page, server, ["developer"]);
      await row(page, "Archive").getByRole("button", { name: "Delete token Archive" }).click();
      await away();
      await page.getByRole("alertdialog").getByRole("button", { name: "Delete" }).click();
      await page.waitForURL(`${server.url}livez`);
      assert.deepEqual(await server.names(), ["Archive"]);
    },
    { args: HOME },
  ),
);

test(
  "what a role may not do is not offered",
  scene(async ({ page, server }) => {
    await server.create("Archive");
    await page.route("**/api/v3/user", (route) => route.fulfill({ json: { result: { roles: [{ value: "verifier" }] } } }));
    await page.reload();
    await row(page, "Archive").waitFor();
    assert.equal(await addToken(page).isVisible(), false);
    assert.equal(await page.locator("#rows .delete").first().isVisible(), false);
    await page.unroute("**/api/v3/user");
    await page.route("**/api/v3/user", (route) => route.fulfill({ json: { result: { roles: [{ value: "admin" }] } } }));
    await comeBack(page);
    await page.locator("#rows .delete").first().waitFor();
    assert.equal(await addToken(page).isVisible(), false);
  }),
);

test(
  "the page works below a base path",
  scene(
    async ({ page, server }) => {
      assert.ok(page.url().endsWith("/tools/keys/"));
      await fillIn(page, "Below");
      const dialog = page.getByRole("dialog", { name: "Token created successfully" });
      await dialog.getByRole("button", { name: "Copy" }).click();
      await dialog.getByRole("button", { name: "Close" }).click();
      await row(page, "Below").waitFor();
      assert.deepEqual(await server.names(), ["Below"]);
    },
    { args: ["--base-path", "/tools/keys"], path: "tools/keys/" },
  ),
);
