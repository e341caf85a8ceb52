// The issuer itself: what a test may rely on.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { signingKey } from './issuer.mjs';

test('signing keys are made without end', () => {
  // Garbage is collected meanwhile, which may keep a process for good: see `signingKey`.
  let last;
  for (let left = 8000; left > 0; left -= 1) last = signingKey();
  assert.deepEqual([last.kty, last.crv, last.d.length, last.alg], ['EC', 'P-256', 43, 'ES256']);
});
