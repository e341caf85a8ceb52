// A test with a server and a developer of its own.

import assert from "node:assert/strict";
import { after, before } from "node:test";

import { launch, loaded, person } from "./browser.mjs";
import { Server } from "./server.mjs";

let browser;
before(async () => {
  browser = await launch();
});
after(() => browser?.close());

/**
 * The body of a test: `work` gets the page, its server and the test. Of the options, `args` are the server's, `path` is where
 * the page is below it, and the others are the person's. Nothing may go wrong in the page by itself.
 */
export function scene(work, { args = [], path = "", ...options } = {}) {
  return async (t) => {
    const server = await Server.start({ args });
    server.url += path;
    try {
      const page = await person(browser, server, options);
      await loaded(page);
      await work({ page, server, t });
      assert.deepEqual(page.problems, []);
    } finally {
      await Promise.all(browser.contexts().map((context) => context.close()));
      await server.stop();
    }
  };
}

/** As when the person comes back to the tab. A browser without a screen takes every tab for visible. */
export const comeBack = (page) => page.evaluate(() => document.dispatchEvent(new Event("visibilitychange")));

/** A promise, and what fulfils it. */
export function gate() {
  let open;
  const opened = new Promise((resolve) => (open = resolve));
  return { open, opened };
}
