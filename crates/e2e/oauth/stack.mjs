// The whole chain, with the real things: a browser, Envoy with the example's configuration, the issuer, Gatekey.
//
// Each has its own name, so that sites are sites for the browser; all of it is on loopback.
import { randomBytes, randomInt } from 'node:crypto';
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { createServer as createHttpsServer, request as send } from 'node:https';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { certificates } from './certificates.mjs';
import { AUDIENCE, Issuer } from './issuer.mjs';
import { closed, freePort, listening } from './listening.mjs';
import { load } from './packages.mjs';
import { PASSWORD } from './people.mjs';
import { Program } from './programs.mjs';
import { Tap } from './tap.mjs';

const EXAMPLE = new URL('../../../deploy/envoy-oauth2/', import.meta.url);
const PAGE = 'keys.example.com';
const LOGIN = 'login.example.net';
const HOME = 'home.example.net';
const STRANGER = 'evil.example.org';
// Of the page's own site, though not of its origin.
const SIBLING = 'evil.example.com';

// So that the search of the logs for secrets sees all that our code can log.
const EVERYTHING_OF_OURS = ['gatekey', 'gatekey_api', 'gatekey_core', 'gatekey_store_sqlite'].map((name) => `${name}=trace`);

const BROWSER = [
  ...['--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking'],
  ...['--disable-component-update', '--disable-sync'],
];

export class Stack {
  #folder;
  #running = [];
  #elsewhere = new Map();
  #logs;
  #address;
  #authority;

  /** @param name for its logs */
  static async start(name) {
    const stack = new Stack();
    try {
      await stack.#start(name);
    } catch (error) {
      await stack.stop();
      throw error;
    }
    return stack;
  }

  async #start(name) {
    const { GATEKEY: gatekey, ENVOY: envoy, LOGS: logs } = process.env;
    const folder = await mkdtemp(join(tmpdir(), 'gatekey-oauth-'));
    this.#folder = folder;
    const log = (program) => join(logs, `${name}-${program}.log`);
    this.#logs = ['gatekey', 'envoy'].map(log);
    const tls = await certificates(folder, [PAGE, LOGIN, HOME, STRANGER, SIBLING]);
    this.#authority = tls.authority;

    // An address of its own: nobody takes the port before Envoy does.
    this.#address = `127.${randomInt(1, 255)}.${randomInt(1, 255)}.${randomInt(1, 255)}`;
    const port = await freePort(this.#address);
    this.origin = `https://${PAGE}:${port}`;
    this.secrets = { client: randomBytes(32).toString('hex'), hmac: randomBytes(32).toString('hex') };

    const client = {
      id: 'gatekey-page',
      secret: this.secrets.client,
      redirectUri: `${this.origin}/oauth2/callback`,
      home: `${this.origin}/`,
    };
    this.issuer = this.#runs(await Issuer.start({ host: LOGIN, tls, client }));

    const elsewhere = createHttpsServer({ key: tls.key, cert: tls.certificate }, (request, response) => {
      const [host] = request.headers.host.split(':');
      response.writeHead(200, { 'content-type': 'text/html; charset=utf-8' }).end(this.#elsewhere.get(host));
    });
    const elsewherePort = await listening(elsewhere);
    this.#runs({ stop: () => closed(elsewhere) });
    this.#elsewhere.set(HOME, '<!doctype html><title>Home</title>');
    this.home = `https://${HOME}:${elsewherePort}/start`;
    this.stranger = `https://${STRANGER}:${elsewherePort}/`;
    this.sibling = `https://${SIBLING}:${elsewherePort}/`;

    this.gatekey = await Program.start({
      command: gatekey,
      args: [
        ...['serve', '--grpc-addr', '127.0.0.1:0', '--http-addr', '127.0.0.1:0', '--data-dir', join(folder, 'data')],
        ...['--database-url', `sqlite:${join(folder, 'gatekey.db')}`],
        ...['--issuer', this.issuer.url, '--audience', AUDIENCE, '--jwks', this.issuer.jwksUrl],
        ...['--roles-pointer', '/roles', '--tenant-pointer', '/tenant', '--home-url', this.home],
        ...['--next-step', 'Sign out=/oauth2/sign-out', '--log', ['info', ...EVERYTHING_OF_OURS].join(',')],
      ],
      // Nothing from the caller's environment configures the server.
      env: Object.fromEntries(Object.entries(process.env).filter(([variable]) => !variable.startsWith('GATEKEY_'))),
      log: log('gatekey'),
      ready: (line) => line.includes('"event":"listening"') && JSON.parse(line),
    });
    this.#runs(this.gatekey);
    this.tap = this.#runs(await Tap.start(this.gatekey.said.http));

    const places = {
      LISTEN_ADDRESS: this.#address,
      LISTEN_PORT: port,
      PUBLIC_HOST: `${PAGE}:${port}`,
      PUBLIC_NAME: PAGE,
      SECRETS: join(folder, 'secrets'),
      TLS: folder,
      GATEKEY_ADDRESS: '127.0.0.1',
      GATEKEY_PORT: this.tap.port,
      ISSUER_HOST: LOGIN,
      ISSUER_ADDRESS: '127.0.0.1',
      ISSUER_PORT: this.issuer.port,
      ISSUER_CA: join(folder, 'ca.crt'),
      AUTHORIZATION_ENDPOINT: `${this.issuer.url}/auth`,
      TOKEN_ENDPOINT: `${this.issuer.url}/token`,
      END_SESSION_ENDPOINT: `${this.issuer.url}/session/end`,
      RESOURCE: AUDIENCE,
      CLIENT_ID: client.id,
      CLIENT_SECRET: client.secret,
      HMAC_SECRET: this.secrets.hmac,
      ADMIN_PORT: 0,
    };
    await mkdir(join(folder, 'secrets'));
    const secrets = ['page-certificate', 'client-secret', 'hmac'].map((secret) => `secrets/${secret}.yaml`);
    for (const file of ['envoy.yaml', ...secrets]) {
      await writeFile(join(folder, file), fill(await readFile(new URL(file, EXAMPLE), 'utf8'), places));
    }
    this.#runs(
      await Program.start({
        command: envoy,
        args: ['--config-path', join(folder, 'envoy.yaml'), '--disable-hot-restart', '--concurrency', '1'],
        log: log('envoy'),
        ready: (line) => line.includes('starting workers'),
      }),
    );

    const names = [LOGIN, HOME, STRANGER, SIBLING].map((host) => `MAP ${host} 127.0.0.1`);
    const rules = [`MAP ${PAGE} ${this.#address}`, ...names, 'MAP * ~NOTFOUND'].join(',');
    const { chromium } = await load('playwright-core');
    const browser = await chromium.launch({
      executablePath: process.env.CHROMIUM,
      // It ends when its pipe does; with these handlers, this process would not.
      handleSIGHUP: false,
      handleSIGINT: false,
      handleSIGTERM: false,
      args: [...BROWSER, `--host-resolver-rules=${rules}`],
    });
    this.#runs({ stop: () => browser.close() });
    this.browser = browser;
  }

  #runs(part) {
    this.#running.push(part);
    return part;
  }

  /** What a page elsewhere consists of: `stack.sibling` or `stack.stranger`. */
  serve(url, html) {
    this.#elsewhere.set(new URL(url).hostname, html);
  }

  /** A person with an empty browser. */
  async visitor() {
    const context = await this.browser.newContext({ ignoreHTTPSErrors: true });
    context.setDefaultTimeout(20_000);
    await context.grantPermissions(['clipboard-read', 'clipboard-write'], { origin: this.origin });
    return new Visitor(this, context, await context.newPage());
  }

  /** Somebody who has signed in, and is where that led. */
  async signedIn(name) {
    const visitor = await this.visitor();
    await visitor.signIn(name);
    return visitor;
  }

  /** A call through Envoy without a browser, which may lie as it likes. */
  call(path, { method = 'GET', headers = {}, body } = {}) {
    return new Promise((resolve, reject) => {
      const { hostname, host, port } = new URL(this.origin);
      const options = { host: this.#address, port, path, method, servername: hostname, ca: this.#authority };
      const request = send({ ...options, headers: { host, ...headers }, timeout: 40_000 }, async (response) => {
        try {
          const text = (await response.setEncoding('utf8').toArray()).join('');
          resolve({ status: response.statusCode, headers: response.headers, text });
        } catch (error) {
          reject(error);
        }
      });
      request.on('error', reject);
      request.on('timeout', () => request.destroy(new Error(`no answer to ${method} ${path}`)));
      request.end(body);
    });
  }

  /** All that Gatekey and Envoy have logged; Envoy writes some of it late. */
  async logged() {
    return (await Promise.all(this.#logs.map((file) => readFile(file, 'utf8')))).join('\n');
  }

  async stop() {
    for (const part of this.#running.splice(0).reverse()) await part.stop();
    if (this.#folder) await rm(this.#folder, { recursive: true, force: true });
  }
}

export class Visitor {
  /** `{ method, url, status, headers, body }` of each response to this person's browser. */
  responses = [];
  #bodies = [];

  constructor(stack, context, page) {
    this.stack = stack;
    this.context = context;
    this.page = page;
    context.on('response', (response) => {
      const request = response.request();
      const entry = { method: request.method(), url: response.url(), status: response.status(), headers: response.headers() };
      this.responses.push(entry);
      // Redirects have none.
      this.#bodies.push(response.text().then((body) => Object.assign(entry, { body }), () => Object.assign(entry, { body: '' })));
    });
  }

  /** Opens the page and signs in at the issuer. */
  async signIn(name) {
    await this.page.goto(this.stack.origin);
    await this.fillIn(name);
  }

  /** Fills in the issuer's sign-in, and waits for where it leads. */
  async fillIn(name, page = this.page) {
    await page.waitForURL(`${this.stack.issuer.url}/sign-in/*`);
    await page.getByLabel('Name').fill(name);
    await page.getByLabel('Password').fill(PASSWORD);
    await page.getByRole('button', { name: 'Sign in' }).click();
    await page.waitForURL((url) => url.origin !== this.stack.issuer.url);
  }

  /** The responses with their bodies. */
  async received() {
    await Promise.all(this.#bodies);
    return this.responses;
  }

  cookies() {
    return this.context.cookies(this.stack.origin);
  }

  /** As the browser would send them, for calls without it. */
  async cookieHeader() {
    return (await this.cookies()).map(({ name, value }) => `${name}=${value}`).join('; ');
  }
}

/** Whose access token a request carries. */
export function subject({ authorization = '' }) {
  const [, claims] = authorization.replace(/^Bearer /, '').split('.');
  return JSON.parse(Buffer.from(claims, 'base64url').toString()).sub;
}

function fill(template, places) {
  return template.replaceAll(/\$\{([A-Z_]+)\}/g, (whole, name) => {
    if (name === 'PLACES') return whole;
    if (!(name in places)) throw new Error(`nothing is known for ${whole}`);
    return places[name];
  });
}
