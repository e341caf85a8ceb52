// Calls of the REST API. Every way in which a call can fail becomes a Failure, with a text for people.

import { setting } from "./dom.js";

/** How long an answer may take. A delete can wait for leases to run out: 1.25 times at most 120 seconds. */
const PATIENCE = { GET: 30_000, POST: 60_000, DELETE: 180_000 };

export class Failure extends Error {
  /**
   * kind: "session" (nobody is signed in any more), "forbidden" (the role is missing), "refused" (nothing was done), or
   * "unknown" (nobody can tell whether it was done).
   */
  constructor(kind, message, fields = {}, reason = "") {
    super(message);
    this.kind = kind;
    this.fields = fields;
    this.reason = reason;
  }
}

const sessionEnded = () => new Failure("session", "Your session has ended");

async function call(method, path, fallback, request = {}) {
  const url = new URL(`${setting("base")}api/v3/${path}`, location.origin);
  let response;
  try {
    response = await fetch(url, {
      method,
      credentials: "same-origin",
      cache: "no-store",
      // Whoever signs people in may send them to their issuer: for a call that means that the session is over.
      redirect: "manual",
      signal: AbortSignal.timeout(PATIENCE[method]),
      ...request,
    });
  } catch (error) {
    const why = error.name === "TimeoutError" ? "The server did not answer in time" : "The server can't be reached";
    throw new Failure("unknown", `${fallback}\n${why}`);
  }
  if (response.type === "opaqueredirect" || response.status === 401) {
    // Nobody reads it: the connection is free for others.
    response.body?.cancel();
    throw sessionEnded();
  }
  if (!response.ok) throw await failure(response, fallback);
  if (response.status === 204) return null;
  try {
    return await response.json();
  } catch {
    throw new Failure("unknown", `${fallback}\nThe answer broke off`);
  }
}

async function failure(response, fallback) {
  const error = await response.json().catch(() => ({}));
  const detail = Array.isArray(error.detail) ? error.detail : [];
  const texts = detail.map((one) => one.msg).filter(Boolean);
  const said = texts.join("\n") || error.message || error.error_description;
  let message = said || fallback;
  const reason = detail[0]?.type ?? "";
  if (response.status === 403 && reason !== "CROSS_SITE") {
    return new Failure("forbidden", message);
  }
  const fields = {};
  for (const { loc, msg } of detail) {
    if (loc?.[0] === "body") fields[loc[1]] = [fields[loc[1]], msg].filter(Boolean).join("\n");
  }
  const id = response.headers.get("x-request-id");
  if (response.status >= 500 && id) message += `\nRequest id ${id}`;
  // Only the service itself can say that it did nothing; what stands in front of it can't.
  const unknown = response.status >= 500 || !said;
  return new Failure(unknown ? "unknown" : "refused", message, fields, reason);
}

/** The names of the roles of who is signed in. */
export async function roles() {
  const user = await call("GET", "user", "An error has occurred");
  return (user?.result?.roles ?? []).map((role) => role.value);
}

/** All tokens, newest first. */
export async function list() {
  return (await call("GET", "tokens", "An error has occurred")).tokens;
}

/** Creates a token. A repeat with the same key replaces a token whose answer was lost. */
export const create = (token, idempotencyKey) =>
  call("POST", "tokens", "An error occurred while creating the token", {
    headers: { "content-type": "application/json", "idempotency-key": idempotencyKey },
    body: JSON.stringify(token),
  });

/** Deletes a token. Returns once no service accepts it any more. */
export const remove = (id) => call("DELETE", `tokens/${id}`, "An error has occurred");

/** A UUID. `crypto.randomUUID` is there only where the page came encrypted or from this machine. */
export function uuid() {
  if (crypto.randomUUID) return crypto.randomUUID();
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  bytes[6] = (bytes[6] & 0x0f) | 0x40;
  bytes[8] = (bytes[8] & 0x3f) | 0x80;
  const hex = Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
  return hex.replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, "$1-$2-$3-$4-$5");
}
