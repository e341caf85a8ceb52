// Signed in is not enough: who has which role gets what.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import * as keys from './keys-page.mjs';
import { Stack } from './stack.mjs';

const NAME = 'Somebody’s own';
let stack, secrets, id;

before(async () => {
  stack = await Stack.start('roles');
  const dora = await stack.signedIn('dora');
  await keys.listed(dora.page);
  const value = await keys.create(dora.page, NAME);
  secrets = [NAME, value, await keys.keyOf(dora.page, NAME)];
  const list = await stack.call('/api/v3/tokens', { headers: { cookie: await dora.cookieHeader() } });
  ({ id } = JSON.parse(list.text).tokens.find(({ name }) => name === NAME));
});
after(() => stack?.stop());

/** Is sent home, and gets to know nothing of any token, wherever she looks. */
async function staysOutside(name) {
  const visitor = await stack.signedIn(name);
  await visitor.page.waitForURL(stack.home);
  assert.equal(await visitor.page.title(), 'Home');
  const { page } = visitor;
  for (const path of ['/', '/api/v3/tokens', '/api/v3/user']) {
    await page.goto(`${stack.origin}${path}`);
  }
  const received = await visitor.received();
  const statuses = new Map(received.map(({ url, status }) => [url, status]));
  assert.equal(statuses.get(`${stack.origin}/`), 303);
  assert.equal(statuses.get(`${stack.origin}/api/v3/tokens`), 403);
  for (const { method, url, headers, body } of received) {
    for (const secret of secrets) {
      assert.ok(!`${body}${JSON.stringify(headers)}`.includes(secret), `${method} ${url} says ${secret.slice(0, 13)}`);
    }
  }
  return { visitor, user: statuses.get(`${stack.origin}/api/v3/user`), cookie: await visitor.cookieHeader() };
}

test('without a role a person is sent home, and gets no token data', async () => {
  const { user, cookie } = await staysOutside('nora');
  assert.ok([200, 403].includes(user), `user: ${user}`);
  const create = await stack.call('/api/v3/tokens', {
    method: 'POST',
    headers: { cookie, 'content-type': 'application/json' },
    body: JSON.stringify({ name: 'Not mine', type: 'batch', years_valid: 1 }),
  });
  const remove = await stack.call(`/api/v3/tokens/${id}`, { method: 'DELETE', headers: { cookie } });
  assert.deepEqual([create.status, remove.status], [403, 403]);
});

test('a developer of another tenant sees nothing of it', async () => {
  const otto = await stack.signedIn('otto');
  await keys.listed(otto.page);
  await otto.page.getByText('No API keys yet').waitFor();
  const remove = await stack.call(`/api/v3/tokens/${id}`, { method: 'DELETE', headers: { cookie: await otto.cookieHeader() } });
  assert.equal(remove.status, 404);
  for (const { url, body } of await otto.received()) for (const secret of secrets) assert.ok(!body.includes(secret), url);
});

test('an admin alone is sent home as well, but may delete by the API', async () => {
  const { cookie } = await staysOutside('adam');
  const create = await stack.call('/api/v3/tokens', {
    method: 'POST',
    headers: { cookie, 'content-type': 'application/json' },
    body: JSON.stringify({ name: 'Not mine', type: 'batch', years_valid: 1 }),
  });
  assert.equal(create.status, 403);
  const remove = await stack.call(`/api/v3/tokens/${id}`, { method: 'DELETE', headers: { cookie } });
  assert.equal(remove.status, 204, remove.text);
});
