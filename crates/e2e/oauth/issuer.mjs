// A real OpenID Connect issuer (oidc-provider) on loopback, with a list of people and a sign-in page of its own.
import { createPrivateKey, generateKeyPairSync, randomBytes, randomUUID } from 'node:crypto';
import { createServer as createHttpServer } from 'node:http';
import { createServer as createHttpsServer } from 'node:https';
import { closed, listening } from './listening.mjs';
import { load } from './packages.mjs';
import { PASSWORD, PEOPLE } from './people.mjs';

/** What access tokens are for: the `resource` that the client names, and Gatekey's `--audience`. */
export const AUDIENCE = 'https://gatekey.example.com';

export class Issuer {
  /** In seconds, of the tokens that are issued from now on. */
  accessTokenLifetime = 300;
  /** People who may sign in no more, and whose sessions are not renewed. */
  dismissed = new Set();
  /** The grants that were given or refused: `{ type, ok }`, the oldest first. */
  grants = [];

  #servers;

  /**
   * @param host the name in its URL; it listens on 127.0.0.1
   * @param tls its certificate
   * @param client what it knows of its client, Envoy
   */
  static async start({ host, tls, client }) {
    const issuer = new Issuer();
    let handler;
    const answer = (request, response) => handler(request, response);
    const https = createHttpsServer({ key: tls.key, cert: tls.certificate }, answer);
    // For Gatekey, which takes plain HTTP from literal loopback and certificates of known authorities only.
    const http = createHttpServer(answer);
    issuer.#servers = [https, http];
    issuer.port = await listening(https);
    issuer.url = `https://${host}:${issuer.port}`;
    issuer.jwksUrl = `http://127.0.0.1:${await listening(http)}/jwks`;

    const Provider = await load('oidc-provider');
    const provider = new Provider(issuer.url, issuer.#configuration(client));
    provider.on('grant.success', (ctx) => issuer.grants.push({ type: ctx.oidc.params.grant_type, ok: true }));
    provider.on('grant.error', (ctx) => issuer.grants.push({ type: ctx.oidc.params?.grant_type, ok: false }));
    provider.on('server_error', (ctx, error) => console.error('the issuer failed:', error));
    handler = issuer.#handler(provider);
    return issuer;
  }

  async stop() {
    await Promise.all(this.#servers.map(closed));
  }

  #configuration(client) {
    return {
      clients: [
        {
          client_id: client.id,
          client_secret: client.secret,
          redirect_uris: [client.redirectUri],
          post_logout_redirect_uris: [client.home],
          grant_types: ['authorization_code', 'refresh_token'],
          response_types: ['code'],
          token_endpoint_auth_method: 'client_secret_basic',
          id_token_signed_response_alg: 'ES256',
        },
      ],
      jwks: { keys: [signingKey()] },
      cookies: { keys: [randomBytes(32).toString('hex')] },
      pkce: { required: () => true },
      ttl: {
        ...{ Grant: 3600, Session: 3600, Interaction: 600, AuthorizationCode: 60, IdToken: 300, RefreshToken: 3600 },
        AccessToken: () => this.accessTokenLifetime,
      },
      features: {
        devInteractions: { enabled: false },
        rpInitiatedLogout: { enabled: true, logoutSource: signOutPage },
        resourceIndicators: {
          enabled: true,
          useGrantedResource: () => true,
          getResourceServerInfo: (ctx, resource) => {
            if (resource !== AUDIENCE) throw new Error(`nobody knows ${resource}`);
            return {
              scope: '',
              audience: AUDIENCE,
              accessTokenFormat: 'jwt',
              jwt: { sign: { alg: 'ES256' } },
            };
          },
        },
      },
      interactions: { url: (ctx, interaction) => `/sign-in/${interaction.uid}` },
      findAccount: (ctx, name) =>
        Object.hasOwn(PEOPLE, name) && !this.dismissed.has(name)
          ? { accountId: name, claims: () => ({ sub: name }) }
          : undefined,
      // What Gatekey reads.
      extraTokenClaims: (ctx, token) => (token.kind === 'AccessToken' ? PEOPLE[token.accountId] : undefined),
      // Nobody is asked whether the platform's own page may know who they are.
      loadExistingGrant: async (ctx) => {
        const { client: known, session, provider } = ctx.oidc;
        const id = session.grantIdFor(known.clientId);
        if (id) return provider.Grant.find(id);
        const grant = new provider.Grant({ clientId: known.clientId, accountId: session.accountId });
        grant.addOIDCScope('openid');
        await grant.save();
        return grant;
      },
      issueRefreshToken: (ctx, known) => known.grantTypeAllowed('refresh_token'),
      // Envoy may renew by several calls at once: a refresh token that can be used once only would end the session.
      rotateRefreshToken: false,
    };
  }

  #handler(provider) {
    const callback = provider.callback();
    return (request, response) => {
      if (!request.url.startsWith('/sign-in/')) return callback(request, response);
      signIn(provider, this.dismissed, request, response).catch((error) => {
        response.writeHead(400, { 'content-type': 'text/plain' }).end(`${error.message}\n`);
      });
    };
  }
}

/** A private key as a JWK. */
export function signingKey() {
  // By way of PEM: in Node 20 what generated a key locks it once more as it is collected, and if that falls into the key's export,
  // the process stands still for good.
  const { privateKey } = generateKeyPairSync('ec', {
    namedCurve: 'P-256',
    publicKeyEncoding: { type: 'spki', format: 'pem' },
    privateKeyEncoding: { type: 'pkcs8', format: 'pem' },
  });
  const jwk = createPrivateKey(privateKey).export({ format: 'jwk' });
  return { ...jwk, kid: randomUUID(), use: 'sig', alg: 'ES256' };
}

async function signIn(provider, dismissed, request, response) {
  await provider.interactionDetails(request, response);
  if (request.method === 'GET') return signInPage(response, 200, '');
  const given = new URLSearchParams((await request.setEncoding('utf8').toArray()).join(''));
  const name = given.get('name') ?? '';
  if (!Object.hasOwn(PEOPLE, name) || dismissed.has(name) || given.get('password') !== PASSWORD) {
    return signInPage(response, 401, '<p role="alert">Wrong name or password.</p>');
  }
  await provider.interactionFinished(request, response, { login: { accountId: name } }, { mergeWithLastSubmission: false });
}

function signInPage(response, status, problem) {
  response.writeHead(status, { 'content-type': 'text/html; charset=utf-8', 'cache-control': 'no-store' }).end(
    document(`<h1>Sign in</h1>${problem}<form method="post">
      <label>Name <input name="name" autocomplete="username"></label>
      <label>Password <input name="password" type="password"></label>
      <button>Sign in</button></form>`),
  );
}

function signOutPage(ctx, form) {
  ctx.body = document(`<h1>Sign out</h1>${form}<button form="op.logoutForm" name="logout" value="yes">Sign out</button>`);
}

const document = (body) => `<!doctype html><html lang="en"><title>Test issuer</title><body>${body}</body></html>`;
