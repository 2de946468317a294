/** The bundle of a tower's thread: made from the compiled modules, and used only while it is that of the modules. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { once } from 'node:events';
import fs from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { after, before, test } from 'node:test';
import { pathToFileURL } from 'node:url';
import { Worker } from 'node:worker_threads';
import { type BundleHead, currentBundle } from '../../src/tower/thread-file.js';
import { ROOT } from '../native/child.js';

const TFJS = '@tensorflow/tfjs';
const clone = fs.realpathSync(fs.mkdtempSync(join(tmpdir(), 'alexnet-split-bundle-')));
after(() => fs.rmSync(clone, { recursive: true, force: true }));
const towers = join(clone, 'dist', 'src', 'tower');
const bundle = join(towers, 'worker.bundle.cjs');
const modules = join(clone, 'node_modules');
let head: BundleHead;

/** Makes the bundle of the clone. @returns what was thrown. */
function make(): string {
  const url = pathToFileURL(join(ROOT, 'scripts', 'bundle-tower.mjs')).href;
  const code = `import { bundleTower } from ${JSON.stringify(url)};
    await bundleTower(${JSON.stringify(clone)}).catch((error) => console.log(error.message));`;
  const { stdout, stderr } = spawnSync(process.execPath, ['--input-type=module', '-e', code], { encoding: 'utf8' });
  assert.equal(stderr, '');
  return stdout;
}

/** What `code` gives in a thread that has loaded the bundle; `loaded` is its exports. */
async function inThread<T>(code: string, workerData: object = {}, before = ''): Promise<T> {
  const program = `${before}
    const loaded = require(${JSON.stringify(bundle)});
    const { parentPort } = require('node:worker_threads');
    Promise.resolve(${code}).then((value) => parentPort.postMessage(value));`;
  const [value] = await once(new Worker(program, { eval: true, workerData }), 'message');
  return value as T;
}

type Envelope = { ok: boolean; error: Error };

before(() => {
  const compiled = join(ROOT, 'dist', 'src');
  fs.cpSync(compiled, join(clone, 'dist', 'src'), {
    recursive: true,
    filter: (path) => fs.statSync(path).isDirectory() || path.endsWith('.js'),
  });
  fs.copyFileSync(join(ROOT, 'package.json'), join(clone, 'package.json'));
  fs.symlinkSync(join(ROOT, 'node_modules'), modules);
  assert.equal(make(), '');
  const [first] = fs.readFileSync(bundle, 'utf8').split('\n');
  head = JSON.parse(first!.replace('// ', ''));
});

test('bundleTower() makes a bundle that is current', () => {
  assert.equal(currentBundle(towers), bundle);
});

test('currentBundle() gives no bundle after a change of a module in it that keeps its length', () => {
  // Packages as before, one of them a copy.
  fs.rmSync(modules);
  fs.mkdirSync(modules);
  for (const name of fs.readdirSync(join(ROOT, 'node_modules')))
    if (name !== 'msgpackr') fs.symlinkSync(join(ROOT, 'node_modules', name), join(modules, name));
  fs.cpSync(join(ROOT, 'node_modules', 'msgpackr'), join(modules, 'msgpackr'), { recursive: true });
  assert.equal(currentBundle(towers), bundle);

  const own = ['tower/tower.js', 'tower/unused-parts.js', 'errors.js'];
  for (const file of own) assert.ok(head.own.includes(file), file);
  const files = [...own.map((file) => join(clone, 'dist', 'src', file)), join(modules, 'msgpackr', 'pack.js')];
  for (const file of files) {
    const bytes = fs.readFileSync(file);
    fs.writeFileSync(file, Buffer.concat([bytes.subarray(0, -1), Buffer.from(' ')]));
    assert.equal(currentBundle(towers), undefined, file);
    fs.writeFileSync(file, bytes);
    assert.equal(currentBundle(towers), bundle);
  }
});

test('currentBundle() gives no bundle where a module or the bundle itself is missing, or has no head', () => {
  const file = join(towers, 'tower.js');
  fs.renameSync(file, `${file}.away`);
  assert.equal(currentBundle(towers), undefined);
  fs.renameSync(`${file}.away`, file);
  assert.equal(currentBundle(dirname(towers)), undefined);
  const text = fs.readFileSync(bundle, 'utf8');
  for (const other of ['', text.slice(0, 1_000), text.slice(text.indexOf('\n'))]) {
    fs.writeFileSync(bundle, other);
    assert.equal(currentBundle(towers), undefined);
  }
  fs.writeFileSync(bundle, text);
});

test('the bundle has every module of the thread, one copy of tfjs, and only its used parts', async () => {
  const loaded = `Object.keys(require.cache).filter((file) => /@tensorflow|msgpackr|dist.src/.test(file))`;
  assert.deepEqual(await inThread(loaded), [bundle]);
  assert.deepEqual(Object.keys(head.packages).sort(), [
    ...[TFJS, `${TFJS}-core`, `${TFJS}-node-gpu`].sort(),
    'msgpackr',
  ]);
  assert.equal(head.packages[TFJS]!.length, 1);
  assert.equal(head.packages[`${TFJS}-core`]!.length, 1);
  const backends = "[...globalThis._tfGlobals.get('kernelRegistry').values()].map((kernel) => kernel.backendName)";
  assert.deepEqual(await inThread(`[...new Set(${backends})]`), ['tensorflow']);
});

test('a thread that has loaded tfjs before keeps to that copy', async () => {
  const tfjs = createRequire(bundle).resolve(TFJS);
  const code = `loaded.default.then((task) => [typeof task, tfjs.findBackend('tensorflow'), typeof tfjs.getKernel('Conv2D', 'tensorflow')])`;
  const program = `const tfjs = require(${JSON.stringify(tfjs)});`;
  assert.deepEqual(await inThread(code, {}, program), ['function', null, 'object']);
});

test('the thread of the bundle answers with errors under the names of their classes', async () => {
  const task = { command: { kind: 'open' } };
  const { ok, error } = await inThread<Envelope>(`loaded.default(${JSON.stringify(task)})`, {
    ...{ device: 'CPU:99', context: {}, part: 'whole', replica: { index: 0, count: 1 } },
  });
  assert.deepEqual([ok, error.name], [false, 'NativeError']);
  assert.match(error.message, /^Cannot .*CPU:99/);
});

test('paths beside a module are those of its own file', () => {
  const text = fs.readFileSync(bundle, 'utf8');
  assert.doesNotMatch(text, /import_meta|import\.meta/);
  const places = [...text.matchAll(/__moduleUrl\("([^"]+)"\)/g)].map(([, place]) => place!);
  assert.ok(places.includes('native/install/koffi.js'), String(places));
  for (const place of places) assert.ok(fs.existsSync(join(clone, 'dist', 'src', place)), place);
});

test('bundleTower() names a mistake in the modules as it is, and leaves the earlier bundle, which is not used', () => {
  const file = join(towers, 'tower.js');
  const text = fs.readFileSync(file, 'utf8');
  fs.writeFileSync(file, 'export {');
  assert.match(make(), /^Cannot bundle src\/tower\/worker\.ts: .*tower\.js:1/s);
  assert.ok(fs.existsSync(bundle));
  assert.equal(currentBundle(towers), undefined);
  fs.writeFileSync(file, text);
});
