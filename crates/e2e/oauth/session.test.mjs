// How long a session lasts, and what the page makes of its end.
import assert from 'node:assert/strict';
import { after, before, beforeEach, test } from 'node:test';
import { setTimeout as until } from 'node:timers/promises';
import * as keys from './keys-page.mjs';
import { Stack, subject } from './stack.mjs';

let stack;
before(async () => {
  stack = await Stack.start('session');
});
after(() => stack?.stop());
beforeEach(() => {
  stack.issuer.accessTokenLifetime = 300;
  stack.issuer.dismissed.clear();
  stack.issuer.grants.length = 0;
});

/** Until the access token of a session is over, by its own time. */
async function expiry(visitor) {
  const cookie = (await visitor.cookies()).find(({ name }) => name === '__Host-OauthExpires');
  // None: the browser has seen that it is over.
  if (cookie) await until(Math.max(0, Number(cookie.value) * 1000 + 1 - Date.now()));
}

test('an access token that is over is renewed, and nobody notices', async () => {
  stack.issuer.accessTokenLifetime = 2;
  const dora = await stack.signedIn('dora');
  await keys.listed(dora.page);
  const [{ headers: first }] = stack.tap.seen;
  await expiry(dora);
  await keys.create(dora.page, 'Renewed');
  await expiry(dora);
  await keys.remove(dora.page, 'Renewed');
  const last = stack.tap.seen.at(-1).headers;
  assert.equal(subject(last), 'dora');
  assert.notEqual(last.authorization, first.authorization);
  assert.ok(stack.issuer.grants.some(({ type }) => type === 'refresh_token'));
  assert.ok(stack.issuer.grants.every(({ ok }) => ok));
  assert.deepEqual(dora.responses.filter(({ url, status }) => url.startsWith(stack.origin) && status >= 400), []);
});

/** Somebody on the page whose access token has expired since, before anything is renewed. */
async function away() {
  stack.issuer.accessTokenLifetime = 2;
  const dora = await stack.signedIn('dora');
  await keys.listed(dora.page);
  await expiry(dora);
  stack.issuer.grants.length = 0;
  return dora;
}

test('calls side by side are renewed side by side', async () => {
  const dora = await away();
  // As two tabs do: two calls at once, with one and the same refresh token.
  const statuses = await dora.page.evaluate(async () => {
    const answers = await Promise.all(['user', 'tokens'].map((name) => fetch(`/api/v3/${name}`)));
    return answers.map((answer) => answer.status);
  });
  assert.deepEqual(statuses, [200, 200]);
  const renewed = { type: 'refresh_token', ok: true };
  assert.deepEqual(stack.issuer.grants, [renewed, renewed]);
});

test('who comes back to the tab renews the session once', async () => {
  const dora = await away();
  stack.issuer.accessTokenLifetime = 300;
  const answers = ['user', 'tokens'].map((name) => dora.page.waitForResponse(`${stack.origin}/api/v3/${name}`));
  await dora.page.evaluate(() => document.dispatchEvent(new Event('visibilitychange')));
  const statuses = (await Promise.all(answers)).map((answer) => answer.status());
  assert.deepEqual(statuses, [200, 200]);
  // An issuer may take a refresh token only once.
  assert.deepEqual(stack.issuer.grants, [{ type: 'refresh_token', ok: true }]);
});

test('when the issuer renews no more, the page says so, and goes on after a sign-in elsewhere', async () => {
  stack.issuer.accessTokenLifetime = 2;
  const dora = await stack.signedIn('dora');
  await keys.listed(dora.page);
  await keys.prepare(dora.page, 'Typed before');
  stack.issuer.dismissed.add('dora');
  await expiry(dora);
  await dora.page.getByRole('button', { name: 'Create', exact: true }).click();
  await dora.page.getByText('Your session has ended').waitFor();
  assert.equal(dora.responses.findLast(({ method }) => method === 'POST').status, 401);
  assert.deepEqual(stack.issuer.grants.at(-1), { type: 'refresh_token', ok: false });
  assert.equal(await dora.page.getByLabel('Token name').inputValue(), 'Typed before');

  // What was typed is still there: she signs in in another tab, and tries again.
  stack.issuer.dismissed.clear();
  stack.issuer.accessTokenLifetime = 300;
  const opened = dora.context.waitForEvent('page');
  await dora.page.getByRole('link', { name: 'Sign in again in a new tab' }).click();
  const tab = await opened;
  await tab.waitForURL((url) => url.pathname.startsWith('/sign-in/') || url.href === `${stack.origin}/`);
  if (tab.url().startsWith(stack.issuer.url)) await dora.fillIn('dora', tab);
  await keys.listed(tab);
  await tab.close();
  await keys.finish(dora.page, 'Typed before');
});

test('a sign-out in one tab ends the session in the other', async () => {
  const dora = await stack.signedIn('dora');
  await keys.listed(dora.page);
  const other = await dora.context.newPage();
  await other.goto(`${stack.origin}/oauth2/sign-out`);
  await other.getByRole('button', { name: 'Sign out' }).click();
  await other.waitForURL(`${stack.issuer.url}/sign-in/*`);
  await keys.prepare(dora.page, 'Too late');
  await dora.page.getByRole('button', { name: 'Create', exact: true }).click();
  await dora.page.getByText('Your session has ended').waitFor();
});

// The last one: nothing works after it.
test('when Gatekey is gone, calls are told so, and nobody is taken for signed out', async () => {
  const dora = await stack.signedIn('dora');
  await keys.listed(dora.page);
  await stack.gatekey.stop();
  const answer = await stack.call('/api/v3/tokens', { headers: { cookie: await dora.cookieHeader() } });
  assert.equal(answer.status, 503);
  assert.deepEqual(JSON.parse(answer.text), { message: 'Gatekey can’t be reached', detail: [] });
});
