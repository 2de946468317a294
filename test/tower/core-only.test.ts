/** A tower's thread has the part of tfjs that it uses, and not the others. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import test from 'node:test';
import { fileURLToPath } from 'node:url';
import { Worker } from 'node:worker_threads';

test("a tower's modules load tfjs-core and its gradients, and no other part of tfjs", async () => {
  const program = `
    const { parentPort } = require('node:worker_threads');
    import(${JSON.stringify(new URL('../../src/tower/worker.js', import.meta.url).href)}).then(() => {
      const names = Object.keys(require.cache).filter((file) => /@tensorflow.tfjs(-(?!node)[^\\\\/]*)?[\\\\/]/.test(file));
      const tf = require(${JSON.stringify(fileURLToPath(import.meta.resolve('@tensorflow/tfjs')))});
      parentPort.postMessage({
        parts: names.filter((file) => Object.keys(require.cache[file].exports).length > 0),
        taken: names.length,
        has: [typeof tf.conv2d, typeof tf.getGradient('Conv2D'), typeof tf.layers, tf.findBackend('cpu')],
      });
    });`;
  const worker = new Worker(program, { eval: true, workerData: {} });
  const [{ parts, taken, has }] = await once(worker, 'message');
  const packages = parts.map((file: string) => /@tensorflow.(tfjs[^\\/]*)/.exec(file)![1]);
  assert.deepEqual(packages.sort(), ['tfjs', 'tfjs-core']);
  assert.equal(taken, 7);
  assert.deepEqual(has, ['function', 'object', 'undefined', null]);
});
