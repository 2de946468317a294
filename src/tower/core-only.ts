/**
 * Keeps the parts of tfjs that a tower does not use out of its thread, where only this program's code runs: layers, the
 * converter, data sets, and the backends in JavaScript and WebGL. tfjs loads them all, which takes a fifth of the time
 * that a tower's modules take. Their places are taken by modules without exports. To be imported before tfjs.
 */
import { createRequire, Module } from 'node:module';

const UNUSED = ['layers', 'converter', 'data', 'backend-cpu', 'backend-webgl'];

const require = createRequire(import.meta.url);
const inTfjs = createRequire(require.resolve('@tensorflow/tfjs'));

for (const name of UNUSED) {
  const file = inTfjs.resolve(`@tensorflow/tfjs-${name}`);
  require.cache[file] ??= Object.assign(new Module(file), { loaded: true });
}
