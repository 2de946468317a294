/** A second copy of tfjs is refused, in one sentence, before or after it is loaded. */
import assert from 'node:assert/strict';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import test, { type TestContext } from 'node:test';
import { folderOf } from '../../data/sets.js';
import { runNode } from '../child.js';

const native = new URL('../../../src/native/index.js', import.meta.url).href;
const files = new URL('../../../src/native/binding/model-files.js', import.meta.url).href;

/** Another copy of tfjs, as far as can be seen of it. */
function otherCopy(t: TestContext): string {
  const dist = join(folderOf(t, {}), 'node_modules', '@tensorflow', 'tfjs-core', 'dist');
  mkdirSync(dist, { recursive: true });
  writeFileSync(join(dist, 'tf-core.node.js'), '');
  return join(dist, 'tf-core.node.js');
}

async function outputOf(code: string): Promise<string> {
  const ended = await runNode(['--input-type=module', '--eval', code]);
  assert.deepEqual([ended.code, ended.stderr], [0, '']);
  return ended.stdout;
}

const SENTENCE =
  /^SetupError: Cannot use tfjs: two copies of it are loaded, from \S+tfjs-core and \S+tfjs-core, expected one; install the version that alexnet-split has, with npm install @tensorflow\/tfjs@4\.22\.0\n$/;

test('importing alexnet-split/native after another copy of tfjs throws a SetupError, and loads no second one', async (t) => {
  const stdout = await outputOf(`import { createRequire } from 'node:module';
    const require = createRequire('/');
    require(${JSON.stringify(otherCopy(t))});
    await import(${JSON.stringify(native)}).catch((error) => console.log(error.name + ': ' + error.message));
    const loaded = Object.keys(require.cache).filter((file) => /tf-core|tfjs.dist/.test(file));
    if (loaded.length !== 1) console.log('loaded:', loaded);`);
  assert.match(stdout, SENTENCE);
});

test('useDevice() throws that error if the other copy came later; registerFiles() registers once', async (t) => {
  const stdout = await outputOf(`import { createRequire } from 'node:module';
    import tf from '@tensorflow/tfjs';
    import { useDevice } from ${JSON.stringify(native)};
    import { registerFiles } from ${JSON.stringify(files)};
    registerFiles();
    console.log(tf.io.getSaveHandlers('file://m').length, tf.io.getLoadHandlers('file://m/model.json').length);
    useDevice('CPU:0');
    createRequire('/')(${JSON.stringify(otherCopy(t))});
    try {
      useDevice('CPU:1');
    } catch (error) {
      console.log(error.name + ': ' + error.message);
    }`);
  const [handlers, ...rest] = stdout.split('\n');
  assert.equal(handlers, '1 1');
  assert.match(rest.join('\n'), SENTENCE);
});
