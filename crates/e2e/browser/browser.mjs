// Chromium, as people use it: signed in by the sign-in page, with whatever may go wrong.

import { createRequire } from "node:module";
import { mkdirSync } from "node:fs";
import { join } from "node:path";

// Installed by `scripts/browser`, outside of this folder.
const require = createRequire(process.env.NODE_MODULES ? join(process.env.NODE_MODULES, "x.js") : import.meta.url);
const { chromium } = require("playwright-core");
const axe = require("axe-core").source;

const pictures = process.env.PICTURES ?? "target/browser";
const PATIENCE = 20_000;

export const launch = () =>
  chromium.launch({
    executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium",
    args: [
      "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
      "--disable-component-update", "--disable-sync",
    ],
  });

/** A person in a browser of their own, signed in with these roles, on the page. */
export async function person(browser, server, { roles = ["developer"], clipboard = true, ...options } = {}) {
  const context = await browser.newContext({ locale: "en-GB", timezoneId: "UTC", viewport: { width: 1280, height: 900 }, ...options });
  context.setDefaultTimeout(PATIENCE);
  if (clipboard) await context.grantPermissions(["clipboard-read", "clipboard-write"], { origin: new URL(server.url).origin });
  const page = await context.newPage();
  page.problems = [];
  page.on("pageerror", (error) => page.problems.push(String(error)));
  page.on("console", (message) => {
    if (message.type() === "error" && !/Failed to load resource/.test(message.text())) page.problems.push(message.text());
  });
  await signIn(page, server, roles);
  return page;
}

export async function signIn(page, server, roles, tenant = "acme") {
  await page.goto(`${server.url}dev/sign-in`);
  await page.getByRole("textbox", { name: "Tenant" }).fill(tenant);
  for (const role of ["developer", "admin", "verifier"]) {
    await page.getByRole("checkbox", { name: role }).setChecked(roles.includes(role));
  }
  await page.getByRole("button", { name: "Sign in" }).click();
}

/** The list, or what stands in its place, has been loaded. */
export const loaded = (page) => page.locator("#loading").waitFor({ state: "hidden" });

export const toast = (page, text) => page.locator("#toasts .toast", { hasText: text });

export const row = (page, name) => page.locator("#rows tr", { hasText: name });

export const addToken = (page) => page.getByRole("button", { name: "Add Token" });

/** Fills the create dialog and sends it. */
export async function fillIn(page, name, { type = "Batch", years = "1 Year" } = {}) {
  await addToken(page).click();
  const dialog = page.getByRole("dialog", { name: "Create API Key" });
  await dialog.getByLabel("Token name").fill(name);
  await dialog.getByRole("radio", { name: type }).check();
  await dialog.getByRole("radio", { name: years }).check();
  await dialog.getByRole("button", { name: "Create" }).click();
  return dialog;
}

/** Creates a token, copies its value and closes the dialog; gives the value. */
export async function createAndCopy(page, name, options) {
  await fillIn(page, name, options);
  const dialog = page.getByRole("dialog", { name: "Token created successfully" });
  const value = await dialog.locator("[data-value]").textContent();
  await dialog.getByRole("button", { name: "Copy" }).click();
  await dialog.getByRole("button", { name: "Close" }).click();
  await dialog.waitFor({ state: "detached" });
  return value;
}

/** What axe-core finds. Its source comes by the driver, past the page's own policy. */
export async function violations(page) {
  await page.evaluate(axe);
  const { violations: found } = await page.evaluate(() => globalThis.axe.run(document, { resultTypes: ["violations"] }));
  return found.map(({ id, nodes }) => `${id}: ${nodes.map((node) => `${node.target} ${node.failureSummary}`).join(" | ")}`);
}

/** Pictures of a state: wide and narrow, light and dark. Gives what axe-core finds in each. */
export async function picture(page, name) {
  mkdirSync(pictures, { recursive: true });
  const found = [];
  for (const colorScheme of ["light", "dark"]) {
    for (const width of [1280, 360]) {
      await page.emulateMedia({ colorScheme });
      await page.setViewportSize({ width, height: width === 360 ? 740 : 900 });
      await page.evaluate(() => Promise.all(document.getAnimations().filter((one) => one.effect.getComputedTiming().iterations !== Infinity).map((one) => one.finished)));
      await page.screenshot({ path: join(pictures, `${name}-${width}-${colorScheme}.png`), animations: "disabled" });
      found.push(...(await violations(page)).map((violation) => `${name} ${width} ${colorScheme}: ${violation}`));
      const wider = await page.evaluate(() => document.documentElement.scrollWidth > innerWidth);
      if (wider) found.push(`${name} ${width}: the page is wider than the window`);
    }
  }
  await page.emulateMedia({ colorScheme: "light" });
  await page.setViewportSize({ width: 1280, height: 900 });
  return found;
}
