// How large and how quick the page is. Figures of a shared machine are printed and not asserted; sizes and counts are asserted.

import assert from "node:assert/strict";
import { test } from "node:test";

import { loaded } from "./browser.mjs";
import { scene } from "./scene.mjs";

const TOKENS = 1000;
const AT_ONCE = 16;
const MOST_BYTES = 60 * 1024;

/** Has the page tell when the list is there, when the screen has been drawn, and when the last row is there. */
function watchRows() {
  globalThis.drawn = new Promise((resolve) => {
    let isFirst = true;
    new MutationObserver(() => {
      const grid = document.getElementById("grid");
      if (!grid || grid.hidden || document.getElementById("rows").childElementCount === 0) return;
      globalThis.lastRow = performance.now();
      if (!isFirst) return;
      isFirst = false;
      // The task after the next frame.
      requestAnimationFrame(() => setTimeout(() => resolve(performance.now())));
    }).observe(document, { subtree: true, childList: true, attributes: true, attributeFilter: ["hidden"] });
  });
}

/** What the page measured, once its list has been drawn. */
const figures = (page) =>
  page.evaluate(async () => {
    const drawn = await globalThis.drawn;
    const firstPaint = await new Promise((resolve) => {
      const look = (list) => list.getEntriesByName("first-contentful-paint").forEach(({ startTime }) => resolve(startTime));
      new PerformanceObserver(look).observe({ type: "paint", buffered: true });
    });
    const [navigation] = performance.getEntriesByType("navigation");
    const resources = performance.getEntriesByType("resource").map(({ name, responseEnd, encodedBodySize, transferSize }) => ({
      name: new URL(name).pathname.split("/").at(-1), responseEnd, encodedBodySize, transferSize,
    }));
    return {
      document: navigation.encodedBodySize,
      resources,
      firstPaint,
      drawn,
    };
  });

const median = (numbers) => numbers.toSorted((a, b) => a - b)[Math.floor(numbers.length / 2)];
const both = (times) => `${median(times).toFixed(0)} ms, ${Math.min(...times).toFixed(0)} ms`;

test(
  "the page is small, and there at once",
  scene(async ({ page, server, t }) => {
    await server.create("Archive");
    const context = page.context();
    const paints = [], interactives = [];
    let first;
    for (let times = 0; times < 5; times++) {
      // Nothing is kept from before.
      const cdp = await context.newCDPSession(page);
      await cdp.send("Network.clearBrowserCache");
      await cdp.detach();
      const fresh = await context.newPage();
      await fresh.addInitScript(watchRows);
      await fresh.goto(server.url);
      const found = await figures(fresh);
      first ??= found;
      paints.push(found.firstPaint);
      interactives.push(found.drawn);
      await fresh.close();
    }
    t.diagnostic(`first paint ${both(paints)}, list drawn and interactive ${both(interactives)} (median and best of ${paints.length}, nothing in the cache)`);
    const files = first.resources.filter(({ name }) => /\.(js|css|svg)$/.test(name));
    const icon = await context.request.get(await page.locator("link[rel=icon]").evaluate((link) => link.href), { headers: { "accept-encoding": "gzip" } });
    const iconSize = Number(icon.headers()["content-length"] ?? (await icon.body()).length);
    const bytes = first.document + files.reduce((sum, { encodedBodySize }) => sum + encodedBodySize, 0) + (files.some(({ name }) => name === "icon.svg") ? 0 : iconSize);
    t.diagnostic(`${bytes} bytes compressed for everything: the document ${first.document}, ${files.map(({ name, encodedBodySize }) => `${name} ${encodedBodySize}`).join(", ")}`);
    assert.ok(files.length >= 6 && files.every(({ encodedBodySize }) => encodedBodySize > 0));
    assert.ok(bytes <= MOST_BYTES, `${bytes} bytes`);

    // The second time only the document and the list are fetched.
    await page.goto(server.url);
    await loaded(page);
    const { resources } = await figures(page);
    for (const { name, transferSize } of resources) if (/\.(js|css)$/.test(name)) assert.equal(transferSize, 0, `${name} comes from the cache`);
  }),
);

test(
  "a thousand tokens are shown at once",
  scene(async ({ page, server, t }) => {
    const jwt = server.jwt();
    let next = 0;
    const create = async () => {
      while (next < TOKENS) await server.create(`Token number ${++next}`, next % 3 === 0 ? "realtime" : "batch", jwt);
    };
    await Promise.all(Array.from({ length: AT_ONCE }, create));
    await page.addInitScript(watchRows);
    const times = [];
    for (let repeat = 0; repeat < 5; repeat++) {
      await page.reload();
      const { resources, drawn } = await figures(page);
      const { responseEnd } = resources.find(({ name }) => name === "tokens");
      await page.locator("#rows tr").nth(TOKENS - 1).waitFor();
      const lastRow = await page.evaluate(() => globalThis.lastRow);
      times.push({ drawn: drawn - responseEnd, complete: lastRow - responseEnd });
    }
    const [drawn, complete] = ["drawn", "complete"].map((what) => times.map((time) => time[what]));
    t.diagnostic(`a list of ${TOKENS}, after its last byte: on the screen in ${both(drawn)}, the last row there in ${both(complete)} (median and best of ${times.length})`);
    assert.equal(await page.locator("#rows tr").count(), TOKENS);
    // No pages: one can scroll to the last one.
    await page.locator("#rows tr").last().scrollIntoViewIfNeeded();
    assert.ok(await page.locator("#rows tr").last().isVisible());
    assert.equal(await page.locator("#rows tr").last().locator(".number").textContent(), "1");
    // The header stays in view.
    const above = await page.getByRole("columnheader", { name: "Name" }).evaluate((header) => header.getBoundingClientRect().top - document.getElementById("grid").getBoundingClientRect().top);
    assert.ok(Math.abs(above) < 3, String(above));
    // One more is refused, and said so.
    await page.getByRole("button", { name: "Add Token" }).click();
    await page.getByLabel("Token name").fill("One too many");
    await page.getByRole("button", { name: "Create", exact: true }).click();
    const message = await page.locator("#toasts [data-kind=error] p").innerText();
    assert.match(message, /as many live tokens as it may/);
  }),
);
