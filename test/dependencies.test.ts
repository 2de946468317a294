/** Packages with known vulnerabilities that are installed because others ask for them: none of them is ever loaded. */
import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import test from 'node:test';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { runNode } from './native/child.js';

const NOT_LOADED = ['tar', 'adm-zip', '@mapbox/node-pre-gyp', 'node-fetch', 'rimraf', 'yargs'];

const SOURCE = fileURLToPath(new URL('../src', import.meta.url));
/** A thread's first file that needs the thread's data; all it does is to call `filler.js`. */
const NEEDS_DATA = join('data', 'batches', 'worker.js');
const FILES = readdirSync(SOURCE, { recursive: true, encoding: 'utf8' })
  .filter((name) => name.endsWith('.js') && name !== NEEDS_DATA)
  .map((name) => join(SOURCE, name));

test('no file of the library, its commands, threads and decoder loads what only installers use', async () => {
  assert.ok(FILES.some((file) => file.endsWith(join('native', 'install', 'fetch.js'))));
  // Packages that a function imports once it is called; files of ours are all imported anyway.
  const lazy = FILES.flatMap((file) => [...readFileSync(file, 'utf8').matchAll(/\bimport\('([^'.][^']*)'\)/g)]);
  const packages = [...new Set(lazy.map((match) => match[1]!))];
  assert.ok(packages.includes('sharp'), packages.join());
  const decoder = pathToFileURL(join(SOURCE, 'data', 'images', 'decode.js')).href;
  // With `parentPort` set, the modules of threads load as in a thread.
  const code = `import { EventEmitter } from 'node:events';
    import { createRequire, syncBuiltinESMExports } from 'node:module';
    import threads from 'node:worker_threads';
    threads.parentPort = new EventEmitter();
    syncBuiltinESMExports();
    for (const each of ${JSON.stringify(FILES.map((file) => pathToFileURL(file).href))}) await import(each);
    for (const each of ${JSON.stringify(packages)}) createRequire(${JSON.stringify(decoder)})(each);
    await (await import(${JSON.stringify(decoder)})).openDecoder(4, 3);
    process.stdout.write(Object.keys(createRequire('/').cache).join('\\n'));`;
  const { code: exitCode, stdout, stderr } = await runNode(['--input-type=module', '-e', code]);
  assert.equal(exitCode, 0, stderr);
  const loaded = new Set([...stdout.matchAll(/.*node_modules\/((?:@[^/]+\/)?[^/]+)\//g)].map((match) => match[1]));
  for (const name of ['@tensorflow/tfjs-node-gpu', 'sharp', 'tar-stream', 'yauzl', 'piscina']) {
    assert.ok(loaded.has(name), `${name} is not among ${[...loaded].join()}`);
  }
  assert.deepEqual(
    NOT_LOADED.filter((name) => loaded.has(name)),
    [],
  );
});
