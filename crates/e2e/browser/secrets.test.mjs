// What must be nowhere once its dialog has closed, and what must stay text.

import assert from "node:assert/strict";
import { readFileSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";

import { createAndCopy, fillIn, row } from "./browser.mjs";
import { scene } from "./scene.mjs";

/** All that a page keeps, as text. */
const kept = (page) =>
  page.evaluate(async () => {
    const fields = [...document.querySelectorAll("input, textarea")].map((field) => field.value);
    const templates = [...document.querySelectorAll("template")].map((template) => template.innerHTML);
    const databases = (await indexedDB.databases()).map((database) => database.name);
    const measured = performance.getEntries().map((entry) => JSON.stringify(entry));
    return [
      document.documentElement.outerHTML, ...fields, ...templates, ...databases, ...measured, ...(await caches.keys()),
      JSON.stringify(localStorage), JSON.stringify(sessionStorage), document.cookie, document.title, location.href, window.name,
      JSON.stringify(history.state), getSelection().toString(),
    ].join("\n");
  });

/** The strings of the page's JavaScript that are still alive. */
async function heap(page) {
  const session = await page.context().newCDPSession(page);
  const chunks = [];
  session.on("HeapProfiler.addHeapSnapshotChunk", ({ chunk }) => chunks.push(chunk));
  await session.send("HeapProfiler.enable");
  await session.send("HeapProfiler.collectGarbage");
  await session.send("HeapProfiler.takeHeapSnapshot", { reportProgress: false });
  await session.detach();
  return chunks.join("");
}

test(
  "after its dialog the value is nowhere",
  scene(async ({ page, server, t }) => {
    const sent = [];
    const watch = (request) => sent.push([request.method(), request.url(), JSON.stringify(request.headers()), request.postData() ?? ""].join(" "));
    const others = [];
    page.on("response", (response) => others.push([response.url(), response.request().method(), response.body().then(String, () => "")]));
    page.on("request", watch);
    await fillIn(page, "Secret", { type: "Realtime" });
    const dialog = page.getByRole("dialog", { name: "Token created successfully" });
    const value = await dialog.locator("[data-value]").textContent();
    assert.match(value, /^gk_r_\w{40,}$/);
    assert.ok((await kept(page)).includes(value), "while the dialog is open it would be found");
    await page.evaluate(() => (globalThis.control = document.querySelector("[data-value]").textContent));
    assert.ok((await heap(page)).includes(value), "and if a script kept it");
    await page.evaluate(() => delete globalThis.control);
    assert.ok(!page.url().includes(value));
    await dialog.getByRole("button", { name: "Copy" }).click();
    await dialog.getByRole("button", { name: "Close" }).click();
    await dialog.waitFor({ state: "detached" });
    assert.ok(!(await kept(page)).includes(value), "in the page");
    assert.ok(!(await heap(page)).includes(value), "in the page's memory");

    const second = await createAndCopy(page, "Another");
    assert.ok(!(await kept(page)).includes(second));
    await row(page, "Another").getByRole("button", { name: /^Delete token/ }).click();
    await page.getByRole("alertdialog").getByRole("button", { name: "Delete" }).click();
    await row(page, "Another").waitFor({ state: "detached" });
    await page.reload();
    await row(page, "Secret").waitFor();
    await page.goBack().catch(() => {});
    await page.goForward().catch(() => {});
    await page.goto(server.url);
    await row(page, "Secret").waitFor();
    assert.ok(!(await kept(page)).includes(value));
    for (const each of [value, second]) {
      assert.ok(!sent.some((line) => line.includes(each)), "no request carries it");
      let carriers = 0;
      for (const [url, method, body] of others) {
        assert.ok(!url.includes(each));
        if ((await body).includes(each)) {
          carriers += 1;
          assert.equal(method, "POST");
        }
      }
      assert.ok(carriers <= 1, "one answer carries it");
      assert.ok(!server.logged().includes(each), "the server's log");
      for (const file of readdirSync(server.folder)) {
        assert.ok(!readFileSync(join(server.folder, file), "latin1").includes(each), `the server's ${file}`);
      }
    }
    assert.ok(sent.length > 10 && server.logged().length > 0);
    const cdp = await page.context().newCDPSession(page);
    const { entries } = await cdp.send("Page.getNavigationHistory");
    assert.ok(!entries.some(({ url, title }) => `${url} ${title}`.includes("gk_")), "the history");
    t.diagnostic(`${sent.length} requests watched`);
  }),
);

test(
  "a page that is left takes the value with it",
  scene(async ({ page, server }) => {
    let asked = 0;
    page.on("dialog", async (dialog) => {
      asked += 1;
      assert.equal(dialog.type(), "beforeunload");
      await (asked === 1 ? dialog.dismiss() : dialog.accept());
    });
    await fillIn(page, "Left");
    const dialog = page.getByRole("dialog", { name: "Token created successfully" });
    const value = await dialog.locator("[data-value]").textContent();
    // Who leaves before the value was copied is asked, and may stay.
    await page.reload({ timeout: 3000 }).catch(() => {});
    assert.equal(asked, 1);
    assert.equal(await dialog.locator("[data-value]").textContent(), value);
    await page.goto(`${server.url}livez`);
    assert.equal(asked, 2);
    await page.goBack();
    await row(page, "Left").waitFor();
    assert.ok(!(await kept(page)).includes(value));
    assert.equal(await page.locator("dialog[open]").count(), 0);
  }),
);

const CORPUS = [
  "<script>globalThis.hit = 1</script>", '"><script>globalThis.hit = 1</script>', "<img src=x onerror=globalThis.hit=1>",
  "'\"><svg/onload=globalThis.hit=1>", "javascript:globalThis.hit=1", "</template><script>globalThis.hit = 1</script>",
  "<iframe srcdoc='<script>parent.hit=1</script>'>", "<a href=javascript:globalThis.hit=1>link</a>", "{{base}}{{assets}}{{home}}",
  "${globalThis.hit = 1}", "&lt;b&gt;&amp;&#x27;&quot;", "<style>*{display:none}</style>", "<math><mtext></form><form><mglyph><style><img src=x onerror=globalThis.hit=1>",
  "<base href=https://evil.example/>", "<meta http-equiv=refresh content='0;url=https://evil.example/'>", "]]><!--", "-->", "<dialog open id=rows>",
  "__proto__", "constructor", "\\u003cb\\u003e", "%3Cscript%3E", "'; DROP TABLE tokens; --", "=HYPERLINK(\"https://evil.example\")",
  "\u200b\u200dname\ufeff", "عنوان <b>غامق</b>", "𝒻ancy 👩‍👩‍👧‍👦 naïve", "e\u0301".repeat(40), "a b   c", "A".repeat(255),
];

test(
  "names stay text",
  scene(async ({ page, server }) => {
    page.on("dialog", () => (page.problems.push("a dialog of the browser")));
    const hosts = new Set();
    page.on("request", (request) => hosts.add(new URL(request.url()).host));
    for (const name of CORPUS) await server.create(name);
    await page.reload();
    await page.locator("#rows tr").nth(CORPUS.length - 1).waitFor();
    const clean = async () => {
      assert.equal(await page.evaluate(() => globalThis.hit), undefined);
      assert.equal(await page.locator("#rows .name span *, #rows .name script, main img, main iframe, main base, main meta").count(), 0);
    };
    const shown = await page.locator("#rows .name span").allTextContents();
    assert.deepEqual(shown, CORPUS.toReversed());
    await clean();
    for (const [place, name] of CORPUS.toReversed().entries()) {
      const remove = page.locator("#rows tr").nth(place).locator(".delete");
      assert.equal(await remove.getAttribute("aria-label"), `Delete token ${name}`);
      await remove.click();
      const dialog = page.getByRole("alertdialog");
      assert.equal(await dialog.locator("[data-name]").textContent(), name);
      assert.equal(await dialog.locator("[data-name] *").count(), 0);
      await dialog.getByRole("button", { name: "Cancel" }).click();
    }
    for (const name of CORPUS.slice(0, 6)) {
      await fillIn(page, name);
      const dialog = page.getByRole("dialog", { name: "Token created successfully" });
      assert.equal(await dialog.locator("[data-name]").textContent(), name);
      await dialog.getByRole("button", { name: "Copy" }).click();
      await dialog.getByRole("button", { name: "Close" }).click();
    }
    // And what the API says is text too.
    await page.route("**/api/v3/tokens", (route) =>
      route.request().method() === "POST" ? route.fulfill({ status: 422, json: { message: "<img src=x onerror=globalThis.hit=1>" } }) : route.continue());
    await fillIn(page, "refused");
    await page.locator("#toasts p", { hasText: "<img src=x onerror=globalThis.hit=1>" }).waitFor();
    assert.equal(await page.locator("#toasts img").count(), 0);
    await clean();
    assert.deepEqual([...hosts], [server.address]);
  }),
);

test(
  "the policy of the page holds",
  scene(async ({ page, server }) => {
    const blocked = await page.evaluate(async () => {
      const seen = [];
      document.addEventListener("securitypolicyviolation", (event) => seen.push(event.effectiveDirective));
      const tries = [
        () => document.body.insertAdjacentHTML("beforeend", "<b>x</b>"),
        () => (document.body.innerHTML = ""),
        () => document.write("x"),
      ];
      for (const attempt of tries) {
        try {
          attempt();
          seen.push("allowed");
        } catch {
          // As it should be.
        }
      }
      const script = document.createElement("script");
      try {
        script.text = "globalThis.hit = 1";
        document.body.append(script);
        seen.push("allowed");
      } catch {
        // As it should be.
      }
      await fetch("https://evil.example/").catch(() => {});
      await new Promise((resolve) => setTimeout(resolve));
      return seen;
    });
    assert.ok(!blocked.includes("allowed"), String(blocked));
    assert.ok(blocked.includes("require-trusted-types-for") && blocked.includes("connect-src"), String(blocked));
    assert.equal(await page.evaluate(() => globalThis.hit), undefined);
    // Nobody frames it.
    const framing = await page.context().newPage();
    await framing.route("**/framing", (route) => route.fulfill({ contentType: "text/html", body: `<iframe src="${server.url}"></iframe>` }));
    await framing.goto(`${server.url}framing`);
    const frame = framing.frames()[1];
    assert.ok(!frame || !(await frame.content()).includes("API keys"));
    page.problems.length = 0;
  }),
);
