// Gatekey and Envoy as processes.
import { spawn } from 'node:child_process';
import { createWriteStream } from 'node:fs';
import { once } from 'node:events';
import { createInterface } from 'node:readline';

const START = 30_000;

export class Program {
  #child;
  #written;

  /**
   * Starts a program and waits for the first line, of either output, of which `ready` makes something.
   * @param log the file for all that it says
   */
  static async start({ command, args, log, env = process.env, ready }) {
    const program = new Program();
    const file = createWriteStream(log);
    const child = spawn(command, args, { env, stdio: ['ignore', 'pipe', 'pipe'] });
    program.#child = child;
    program.#written = once(file, 'finish');
    const exit = once(child, 'close').then(([code, signal]) => {
      file.end();
      throw new Error(`${command} ended before it was ready: ${code ?? signal}, see ${log}`);
    });
    const said = new Promise((resolve) => {
      for (const output of [child.stdout, child.stderr]) {
        createInterface(output).on('line', (line) => {
          file.write(`${line}\n`);
          const found = ready(line);
          if (found) resolve(found);
        });
      }
    });
    const limit = AbortSignal.timeout(START);
    const late = once(limit, 'abort').then(() => {
      throw new Error(`${command} was not ready within ${START / 1000} s, see ${log}`);
    });
    // Who is not waited for any more may end.
    exit.catch(() => {});
    late.catch(() => {});
    try {
      program.said = await Promise.race([said, exit, late]);
    } catch (error) {
      child.kill('SIGKILL');
      throw error;
    }
    return program;
  }

  /** Asks it to end, and waits until it has, and all that it said is in its log. */
  async stop() {
    this.#child.kill('SIGTERM');
    const patience = setTimeout(() => this.#child.kill('SIGKILL'), 25_000);
    await this.#written;
    clearTimeout(patience);
  }
}
