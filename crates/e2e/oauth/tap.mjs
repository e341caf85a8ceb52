// Stands between Envoy and Gatekey, changes nothing, and remembers what Envoy sent: the last place to see it.
import { Agent, createServer, request as send } from 'node:http';
import { setTimeout as until } from 'node:timers/promises';
import { closed, listening } from './listening.mjs';

export class Tap {
  /** `{ method, path, headers }` of each request, the oldest first, but for those of the health check. */
  seen = [];
  /** In milliseconds: how long the answers to deletes are held back. */
  deletesTake = 0;

  #server;
  #agent = new Agent({ keepAlive: true });

  static async start(to) {
    const tap = new Tap();
    const [host, port] = to.split(':');
    tap.#server = createServer((request, response) => {
      const { method, url: path, headers } = request;
      if (path !== '/readyz') tap.seen.push({ method, path, headers });
      const onward = send({ host, port, method, path, headers, agent: tap.#agent }, async (answer) => {
        if (method === 'DELETE') await until(tap.deletesTake);
        response.writeHead(answer.statusCode, answer.headers);
        answer.pipe(response);
      });
      onward.on('error', (error) => response.destroy(error));
      request.pipe(onward);
    });
    tap.port = await listening(tap.#server);
    return tap;
  }

  async stop() {
    this.#agent.destroy();
    await closed(this.#server);
  }
}
