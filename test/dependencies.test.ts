/** What is never loaded: packages with known vulnerabilities that only installers use, and tfjs in a training's first thread. */
import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import test from 'node:test';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { runNode } from './native/child.js';

const NOT_LOADED = ['tar', 'adm-zip', '@mapbox/node-pre-gyp', 'node-fetch', 'rimraf', 'yargs'];

const SOURCE = fileURLToPath(new URL('../src', import.meta.url));
/** Threads' first files that need the thread's data; all that they do is to call `filler.js`, `summer.js` and `chunk.js`. */
const NEED_DATA = ['batches/worker.js', 'statistics/worker.js', 'shards/pack-worker.js'].map((name) =>
  join('data', name),
);
const FILES = readdirSync(SOURCE, { recursive: true, encoding: 'utf8' })
  .filter((name) => name.endsWith('.js') && !NEED_DATA.includes(name))
  .map((name) => join(SOURCE, name));

/** The names of the packages whose files are in a list. */
const packagesIn = (files: string) =>
  new Set([...files.matchAll(/.*node_modules\/((?:@[^/]+\/)?[^/]+)\//g)].map((match) => match[1]!));

test('no file loads what only installers use; a training, evaluation or comparison leaves tfjs to the towers', async () => {
  assert.ok(FILES.some((file) => file.endsWith(join('native', 'install', 'fetch.js'))));
  // Packages that a function imports once it is called; files of ours are all imported anyway.
  const lazy = FILES.flatMap((file) => [...readFileSync(file, 'utf8').matchAll(/\bimport\('([^'.][^']*)'\)/g)]);
  const packages = [...new Set(lazy.map((match) => match[1]!))];
  assert.ok(packages.includes('sharp'), packages.join());
  const decoder = pathToFileURL(join(SOURCE, 'data', 'images', 'decode.js')).href;
  const trainings = pathToFileURL(join(SOURCE, 'train', 'index.js')).href;
  // With `parentPort` set, the modules of threads load as in a thread.
  const code = `import { EventEmitter } from 'node:events';
    import { createRequire, syncBuiltinESMExports } from 'node:module';
    import threads from 'node:worker_threads';
    const print = () => process.stdout.write(Object.keys(createRequire('/').cache).join('\\n') + '\\n\\n');
    await import(${JSON.stringify(trainings)});
    print();
    threads.parentPort = new EventEmitter();
    syncBuiltinESMExports();
    for (const each of ${JSON.stringify(FILES.map((file) => pathToFileURL(file).href))}) await import(each);
    for (const each of ${JSON.stringify(packages)}) createRequire(${JSON.stringify(decoder)})(each);
    await (await import(${JSON.stringify(decoder)})).openDecoder(4, 3);
    print();`;
  const { code: exitCode, stdout, stderr } = await runNode(['--input-type=module', '-e', code]);
  assert.equal(exitCode, 0, stderr);
  const [first, loaded] = stdout.split('\n\n').map(packagesIn) as [Set<string>, Set<string>];
  assert.ok(first.has('piscina'), [...first].join());
  // Each thread takes a fifth of a second to load it.
  assert.deepEqual(
    [...first].filter((name) => name.startsWith('@tensorflow/')),
    [],
  );
  for (const name of ['@tensorflow/tfjs-node-gpu', 'sharp', 'tar-stream', 'yauzl', 'piscina']) {
    assert.ok(loaded.has(name), `${name} is not among ${[...loaded].join()}`);
  }
  assert.deepEqual(
    NOT_LOADED.filter((name) => loaded.has(name)),
    [],
  );
});
