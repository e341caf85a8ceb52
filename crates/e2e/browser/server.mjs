// The real server as a process, in development mode, with a folder of its own. Its log is kept for the search for secrets.

import { spawn, execFileSync } from "node:child_process";
import { createInterface } from "node:readline";
import { closeSync, mkdirSync, mkdtempSync, openSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

const gatekey = process.env.GATEKEY ?? "target/debug/gatekey";
const logs = process.env.LOGS ?? "target/test-logs";
const LISTENING_WITHIN = 30_000;
let count = 0;

export class Server {
  static async start({ args = [], folder = mkdtempSync(join(tmpdir(), "gatekey-")), http = "127.0.0.1:0" } = {}) {
    const server = new Server();
    server.folder = folder;
    server.args = args;
    mkdirSync(logs, { recursive: true });
    server.log = join(logs, `browser-${process.pid}-${count++}.log`);
    const log = openSync(server.log, "w");
    server.child = spawn(
      gatekey,
      ["serve", "--data-dir", folder, "--grpc-addr", "127.0.0.1:0", "--http-addr", http, "--log", "info,gatekey_api=trace,gatekey_core=trace", ...args],
      { stdio: ["ignore", "pipe", log] },
    );
    closeSync(log);
    server.ended = new Promise((resolve) => server.child.once("exit", resolve));
    const lines = createInterface({ input: server.child.stdout })[Symbol.asyncIterator]();
    const late = setTimeout(() => server.child.kill("SIGKILL"), LISTENING_WITHIN);
    const { value } = await lines.next();
    clearTimeout(late);
    if (!value) throw new Error(`the server did not start: ${readFileSync(server.log, "utf8")}`);
    server.address = JSON.parse(value).http;
    server.url = `http://${server.address}/`;
    return server;
  }

  /** Another server on the same store and at the same place. */
  again() {
    return Server.start({ args: this.args, folder: this.folder, http: this.address });
  }

  jwt(roles = ["developer"], tenant = "acme") {
    const args = ["dev-token", "--data-dir", this.folder, "--tenant", tenant, ...roles.flatMap((role) => ["--role", role])];
    return execFileSync(gatekey, args, { encoding: "utf8" }).trim();
  }

  async call(method, path, body, jwt = this.jwt()) {
    const headers = { authorization: `Bearer ${jwt}`, ...(body && { "content-type": "application/json" }) };
    const response = await fetch(`${this.url}api/v3/${path}`, { method, headers, body: body && JSON.stringify(body) });
    const text = await response.text();
    return { status: response.status, body: text && JSON.parse(text) };
  }

  async create(name, type = "batch", jwt = undefined) {
    const { status, body } = await this.call("POST", "tokens", { name, type, years_valid: 1 }, jwt);
    if (status !== 201) throw new Error(`not created: ${status} ${body.message}`);
    return body;
  }

  async names() {
    return (await this.call("GET", "tokens")).body.tokens.map((token) => token.name);
  }

  logged() {
    return readFileSync(this.log, "utf8");
  }

  signal(name) {
    this.child.kill(name);
  }

  async kill() {
    this.child.kill("SIGKILL");
    await this.ended;
  }

  async stop() {
    await this.kill();
    rmSync(this.folder, { recursive: true, force: true });
  }
}
