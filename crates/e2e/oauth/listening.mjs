// Servers on loopback.
import { once } from 'node:events';
import { createServer } from 'node:net';

/** Begins to listen on a free port, and says which. */
export async function listening(server, address = '127.0.0.1') {
  server.listen(0, address);
  await once(server, 'listening');
  return server.address().port;
}

/** Stops with all connections. */
export async function closed(server) {
  server.close();
  server.closeAllConnections();
  await once(server, 'close');
}

/**
 * A port for a program that has to be told one. On an address of 127.0.0.0/8 that nobody else uses, nobody takes it meanwhile.
 */
export async function freePort(address) {
  const server = createServer();
  const port = await listening(server, address);
  server.close();
  await once(server, 'close');
  return port;
}
