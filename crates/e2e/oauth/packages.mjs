// The packages that scripts/need installed, in the folders of NODE_MODULES: `import` does not look outside of the folders above
// this one.
import { createRequire } from 'node:module';
import { delimiter, join } from 'node:path';
import { pathToFileURL } from 'node:url';

const folders = (process.env.NODE_MODULES ?? '').split(delimiter).filter(Boolean);

export async function load(name) {
  for (const folder of folders) {
    let path;
    try {
      path = createRequire(join(folder, 'x.js')).resolve(name);
    } catch {
      continue;
    }
    const module = await import(pathToFileURL(path).href);
    return module.default ?? module;
  }
  throw new Error(`${name} is not installed: start these tests by scripts/oauth`);
}
