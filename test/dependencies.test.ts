/** Packages with known vulnerabilities that are installed because others ask for them: none of them is ever loaded. */
import assert from 'node:assert/strict';
import test from 'node:test';
import { runNode } from './native/child.js';

const NOT_LOADED = ['tar', 'adm-zip', '@mapbox/node-pre-gyp', 'node-fetch', 'rimraf', 'yargs'];

test('the library, its commands and its image decoder load none of the packages that only installers use', async () => {
  const paths = ['index', 'cli', 'cli/doctor', 'native/index', 'native/backend', 'native/unpack', 'train/index'];
  const modules = [...paths, 'data/pack', 'weights/layers-model'].map(
    (path) => new URL(`../src/${path}.js`, import.meta.url).href,
  );
  const code = `import { createRequire } from 'node:module';
    for (const each of ${JSON.stringify(modules)}) await import(each);
    (await (await import(${JSON.stringify(new URL('../src/data/decode.js', import.meta.url).href)})).openDecoder(4, 3));
    process.stdout.write(Object.keys(createRequire('/').cache).join('\\n'));`;
  const { code: exitCode, stdout, stderr } = await runNode(['--input-type=module', '-e', code]);
  assert.equal(exitCode, 0, stderr);
  const loaded = new Set([...stdout.matchAll(/.*node_modules\/((?:@[^/]+\/)?[^/]+)\//g)].map((match) => match[1]));
  assert.ok(loaded.has('@tensorflow/tfjs-node-gpu') && loaded.has('sharp'), [...loaded].join());
  assert.deepEqual(
    NOT_LOADED.filter((name) => loaded.has(name)),
    [],
  );
});
