// Who is not signed in, who lies about it, and pages of other sites.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import * as keys from './keys-page.mjs';
import { Stack, subject } from './stack.mjs';

const TOKEN = { name: 'Forged', type: 'batch', years_valid: 1 };
const json = { 'content-type': 'application/json' };
let stack, dora, jwt;

before(async () => {
  stack = await Stack.start('outside');
  dora = await stack.signedIn('dora');
  await keys.listed(dora.page);
  // Her access token, as somebody may have stolen it.
  [, jwt] = stack.tap.seen.at(-1).headers.authorization.split(' ');
});
after(() => stack?.stop());

/** What Gatekey gets to see while something happens. */
async function reaches(action) {
  const from = stack.tap.seen.length;
  await action();
  return stack.tap.seen.slice(from);
}

async function tokens() {
  const list = await stack.call('/api/v3/tokens', { headers: { cookie: await dora.cookieHeader() } });
  assert.equal(list.status, 200);
  return JSON.parse(list.text).tokens;
}

const calls = [
  ['GET', '/api/v3/tokens'],
  ['POST', '/api/v3/tokens', JSON.stringify(TOKEN)],
  ['DELETE', '/api/v3/tokens/1'],
  ['GET', '/api/v3/user'],
  ['OPTIONS', '/api/v3/tokens'],
  // Below a base path.
  ['GET', '/keys/api/v3/tokens?a=1'],
];

/** Every call is answered by Envoy with 401, and none reaches Gatekey. */
async function allRefused(headers) {
  const seen = await reaches(async () => {
    for (const [method, path, body] of calls) {
      const answer = await stack.call(path, { method, headers: { ...json, ...headers }, body });
      assert.equal(answer.status, 401, `${method} ${path}`);
      assert.equal(answer.headers['www-authenticate'], 'Bearer');
      assert.equal(answer.headers.location, undefined);
      const { message, detail } = JSON.parse(answer.text);
      assert.deepEqual([message, detail], ['not signed in, or the session is over', []]);
    }
  });
  assert.deepEqual(seen, []);
}

test('without a session calls get 401', () => allRefused({}));

test('without a session documents lead to the issuer, and nothing else does', async () => {
  const seen = await reaches(async () => {
    for (const path of ['/', '/anything?a=/api/', '/livez']) {
      const answer = await stack.call(path, { headers: { 'sec-fetch-mode': 'navigate' } });
      assert.equal(answer.status, 302, path);
      assert.ok(answer.headers.location.startsWith(`${stack.issuer.url}/auth?`), answer.headers.location);
    }
    for (const mode of ['cors', 'no-cors', 'same-origin', 'websocket']) {
      const answer = await stack.call('/assets/0/app.js', { headers: { 'sec-fetch-mode': mode } });
      assert.equal(answer.status, 401, mode);
    }
  });
  assert.deepEqual(seen, []);
});

test('nobody is led to another host after the sign-in', async () => {
  const answer = await stack.call('/', { headers: { host: new URL(stack.stranger).host } });
  assert.equal(answer.status, 401);
  assert.equal(answer.headers.location, undefined);
});

test('a forged Authorization is not forwarded before the sign-in, be it a good one', async () => {
  await allRefused({ authorization: `Bearer ${jwt}` });
  await allRefused({ authorization: `Bearer ${jwt}`, 'x-forwarded-access-token': jwt, 'sec-fetch-mode': 'navigate' });
});

test('forged cookies are no session', async () => {
  const nora = await stack.signedIn('nora');
  const cookies = Object.fromEntries((await nora.cookies()).map(({ name, value }) => [name, value]));
  const mixed = async (changes) => {
    const text = Object.entries({ ...cookies, '__Host-RefreshToken': '', ...changes }).map(([name, value]) => `${name}=${value}`);
    await allRefused({ cookie: text.join('; ') });
  };
  const [hers] = (await dora.cookies()).filter(({ name }) => name === '__Host-BearerToken');
  await mixed({ '__Host-BearerToken': hers.value });
  await mixed({ '__Host-BearerToken': jwt });
  await mixed({ '__Host-OauthExpires': '9999999999' });
  await mixed({ '__Host-OauthHMAC': '' });
});

test('in a session, what a client says about itself changes nothing', async () => {
  const nora = await stack.signedIn('nora');
  const cookie = await nora.cookieHeader();
  const lies = {
    ...Object.fromEntries(
      ['authorization', 'proxy-authorization', 'x-gatekey-authorization'].map((name) => [name, `Bearer ${jwt}`]),
    ),
    ...Object.fromEntries(
      ['access-token', 'user', 'email', 'groups', 'preferred-username'].map((name) => [`x-forwarded-${name}`, jwt]),
    ),
    'x-auth-request-access-token': jwt,
  };
  const seen = await reaches(async () => {
    const headers = { ...json, ...lies, cookie };
    const answer = await stack.call('/api/v3/tokens', { method: 'POST', headers, body: JSON.stringify(TOKEN) });
    assert.equal(answer.status, 403, answer.text);
  });
  assert.equal(seen.length, 1);
  assert.equal(subject(seen[0].headers), 'nora');
  for (const name of Object.keys(lies)) if (name !== 'authorization') assert.equal(seen[0].headers[name], undefined, name);
  assert.ok(!JSON.stringify(seen[0].headers).includes(jwt));
});

test('nobody is signed in by a callback that they did not ask for', async () => {
  const { headers } = await stack.call('/');
  const state = new URL(headers.location).searchParams.get('state');
  // Of somebody else's sign-in: the cookies of it are missing.
  const seen = await reaches(async () => {
    const answer = await stack.call(`/oauth2/callback?code=stolen&state=${encodeURIComponent(state)}`);
    assert.equal(answer.status, 401);
    assert.ok(!JSON.stringify(answer.headers).includes('BearerToken'));
  });
  assert.deepEqual(seen, []);
});

test('probes are not for the outside', async () => {
  const cookie = await dora.cookieHeader();
  for (const path of ['/livez', '/readyz', '/%6civez', '//readyz', '/forward-auth?type=any', '/forward-auth/']) {
    const seen = await reaches(async () => assert.equal((await stack.call(path, { headers: { cookie } })).status, 404, path));
    assert.deepEqual(seen, []);
  }
});

/** A page that tries to create a token by a form, as soon as it is opened. */
const attack = () => `<!doctype html><title>A nice page</title>
  <form method="post" enctype="text/plain" action="${stack.origin}/api/v3/tokens">
    <input name='${JSON.stringify(TOKEN).slice(0, -1)},"x":"' value='"}'>
  </form>
  <script>
    const url = "${stack.origin}/api/v3/tokens", body = '${JSON.stringify(TOKEN)}';
    const tries = [
      fetch(url, { method: "POST", credentials: "include", mode: "no-cors", body }),
      fetch(url, { method: "POST", credentials: "include", headers: { "content-type": "application/json" }, body }),
      fetch(url + "/1", { method: "DELETE", credentials: "include" }),
      fetch(url, { credentials: "include" }),
    ];
    Promise.allSettled(tries).then(() => document.forms[0].submit());
  </script>`;

/** Opens such a page with the session in the same browser; gives the answer to the form, and what Gatekey saw. */
async function visit(url) {
  stack.serve(url, attack());
  const page = await dora.context.newPage();
  let answer, body;
  const seen = await reaches(async () => {
    const sent = (response) => response.request().isNavigationRequest() && response.url().startsWith(stack.origin);
    const navigated = page.waitForResponse(sent);
    await page.goto(url, { waitUntil: 'commit' });
    answer = await navigated;
    body = await answer.text();
  });
  await page.close();
  // For the answer the browser wants an icon, from the page's own origin.
  return { status: answer.status(), body, seen: seen.filter(({ path }) => path !== '/favicon.ico') };
}

test('a page of another site can change nothing: no session goes with its calls', async () => {
  const { status, seen } = await visit(stack.stranger);
  assert.equal(status, 401);
  assert.deepEqual(seen, []);
  assert.deepEqual(await tokens(), []);
});

test('a page of a sibling host can change nothing: Gatekey refuses it', async () => {
  const { status, body, seen } = await visit(stack.sibling);
  assert.equal(status, 403);
  assert.equal(JSON.parse(body).detail[0].type, 'CROSS_SITE', body);
  // The session did come along.
  const posts = seen.filter(({ method }) => method === 'POST');
  assert.ok(posts.length > 0);
  for (const { headers } of posts) {
    assert.equal(subject(headers), 'dora');
    assert.equal(headers['sec-fetch-site'], 'same-site');
  }
  assert.deepEqual(await tokens(), []);
});
