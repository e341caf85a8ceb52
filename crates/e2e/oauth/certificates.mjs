// A throw-away authority, and one certificate of it for all names of a test.
import { execFile } from 'node:child_process';
import { readFile } from 'node:fs/promises';
import { promisify } from 'node:util';

const run = promisify(execFile);
const KEY = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', '-days', '2'];

/** Writes `ca.crt`, `tls.crt` and `tls.key` to the folder. */
export async function certificates(folder, names) {
  const openssl = (...args) => run('openssl', args, { cwd: folder });
  await openssl('req', '-x509', ...KEY, '-subj', '/CN=Throw-away authority', '-keyout', 'ca.key', '-out', 'ca.crt');
  const alternatives = names.map((name) => `DNS:${name}`).join(',');
  await openssl(
    ...['req', '-x509', ...KEY, '-subj', '/CN=Throw-away', '-addext', `subjectAltName=${alternatives}`],
    ...['-addext', 'basicConstraints=critical,CA:FALSE', '-CA', 'ca.crt', '-CAkey', 'ca.key'],
    ...['-keyout', 'tls.key', '-out', 'tls.crt'],
  );
  const read = (name) => readFile(`${folder}/${name}`);
  return { authority: await read('ca.crt'), certificate: await read('tls.crt'), key: await read('tls.key') };
}
