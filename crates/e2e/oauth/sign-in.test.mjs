// People sign in at the issuer, through Envoy, and use the page.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import * as keys from './keys-page.mjs';
import { Stack, subject } from './stack.mjs';

let stack;
before(async () => {
  stack = await Stack.start('sign-in');
});
after(() => stack?.stop());

test('a developer signs in at the issuer and gets the page', async () => {
  const dora = await stack.signedIn('dora');
  await keys.listed(dora.page);
  assert.equal(await dora.page.title(), 'API keys');
  assert.equal(dora.page.url(), `${stack.origin}/`);
  assert.deepEqual(stack.issuer.grants, [{ type: 'authorization_code', ok: true }]);

  const asked = dora.responses.map(({ url }) => new URL(url)).find(({ pathname }) => pathname === '/auth');
  assert.equal(asked.searchParams.get('code_challenge_method'), 'S256');
  const cookies = await dora.cookies();
  const names = ['OauthHMAC', 'OauthExpires', 'BearerToken', 'IdToken', 'RefreshToken'].map((name) => `__Host-${name}`);
  assert.deepEqual(cookies.map(({ name }) => name).toSorted(), names.toSorted());
  for (const { name, httpOnly, secure, sameSite, path } of cookies) {
    assert.deepEqual({ httpOnly, secure, sameSite, path }, { httpOnly: true, secure: true, sameSite: 'Lax', path: '/' }, name);
  }
});

test('she creates a token and deletes it', async () => {
  const dora = await stack.signedIn('dora');
  await keys.listed(dora.page);
  const value = await keys.create(dora.page, 'Through Envoy');
  assert.ok(value.startsWith(await keys.keyOf(dora.page, 'Through Envoy')));
  await keys.remove(dora.page, 'Through Envoy');
  const changes = (await dora.received()).filter(({ method, url }) => method !== 'GET' && url.startsWith(stack.origin));
  assert.deepEqual(changes.map(({ method, status }) => [method, status]), [['POST', 201], ['DELETE', 204]]);
  for (const { method, url, body } of await dora.received()) {
    assert.equal(body.includes(value), method === 'POST' && new URL(url).pathname === '/api/v3/tokens', `${method} ${url}`);
  }
});

test('Gatekey gets her access token, and no cookie', async () => {
  const from = stack.tap.seen.length;
  const dora = await stack.signedIn('dora');
  await keys.listed(dora.page);
  const seen = stack.tap.seen.slice(from);
  assert.ok(seen.some(({ path }) => path === '/') && seen.some(({ path }) => path === '/api/v3/tokens'));
  for (const { path, headers } of seen) {
    assert.equal(subject(headers), 'dora', path);
    assert.equal(headers.cookie, undefined, path);
  }
});

test('roles may be objects, and a token longer than a cookie', async () => {
  for (const name of ['boris', 'lara']) {
    const visitor = await stack.signedIn(name);
    await keys.listed(visitor.page);
  }
  // The whole session is in the cookies: nothing was renewed to make up for a part of it.
  assert.ok(stack.issuer.grants.every(({ type }) => type === 'authorization_code'));
  const longest = Math.max(...stack.tap.seen.map(({ headers }) => headers.authorization.length));
  assert.ok(longest > 4096, `the longest had ${longest} characters`);
});

test('a delete may take 20 seconds', async () => {
  const dora = await stack.signedIn('dora');
  await keys.listed(dora.page);
  await keys.create(dora.page, 'Held by somebody');
  stack.tap.deletesTake = 20_000;
  await keys.remove(dora.page, 'Held by somebody', { patience: 40_000 });
  stack.tap.deletesTake = 0;
  assert.equal(dora.responses.findLast(({ method }) => method === 'DELETE').status, 204);
});

test('who signs out is signed out at the issuer too', async () => {
  const { page, ...dora } = await stack.signedIn('dora');
  const before = await dora.context.cookies(stack.origin);
  await page.getByRole('link', { name: 'Sign out' }).click();
  await page.waitForURL(`${stack.issuer.url}/session/end?*`);
  await page.getByRole('button', { name: 'Sign out' }).click();
  // Back at the page, which asks for a sign-in: the issuer knows nobody.
  await page.waitForURL(`${stack.issuer.url}/sign-in/*`);
  const left = (await dora.context.cookies(stack.origin)).map(({ name }) => name);
  assert.deepEqual(left.filter((name) => before.some((cookie) => cookie.name === name)), []);
});

// The last one: it ends everything, so that everything is written.
test('no log has a secret', async () => {
  const dora = await stack.signedIn('dora');
  await keys.listed(dora.page);
  const value = await keys.create(dora.page, 'Logged');
  await keys.remove(dora.page, 'Logged');
  const codes = dora.responses.map(({ url }) => new URL(url).searchParams.get('code')).filter(Boolean);
  const cookies = (await dora.cookies()).map((cookie) => cookie.value).filter((cookie) => cookie.length > 20);
  assert.deepEqual([codes.length, cookies.length], [1, 4]);
  const jwts = stack.tap.seen.map(({ headers }) => headers.authorization.split('.')[2]);
  const secrets = [value, ...codes, ...cookies, ...jwts, ...Object.values(stack.secrets)];

  await stack.stop();
  const text = await stack.logged();
  const callbacks = text.match(/"path":"\/oauth2\/callback/g);
  assert.equal(callbacks?.length, stack.issuer.grants.filter(({ type }) => type === 'authorization_code').length);
  for (const secret of secrets) assert.ok(!text.includes(secret), `${secret.slice(0, 6)}... is in a log`);
});
