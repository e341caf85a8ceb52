// Every test that the list of the guide names is there.

import assert from "node:assert/strict";
import { readFileSync, readdirSync } from "node:fs";
import { test } from "node:test";

import { guide } from "./guide.mjs";

test("every line of the guide has a test", () => {
  const folder = new URL(".", import.meta.url);
  const files = readdirSync(folder).filter((name) => name.endsWith(".test.mjs"));
  const texts = files.map((name) => readFileSync(new URL(name, folder), "utf8")).join("\n");
  const names = new Set([...texts.matchAll(/\b(?:test|onPage)\(\s*"((?:[^"\\]|\\.)*)"/g)].map(([, name]) => name));
  for (const [line, tests] of guide) {
    assert.ok(tests.length > 0, line);
    for (const name of tests) assert.ok(names.has(name), `${line}: there is no test "${name}"`);
  }
});
