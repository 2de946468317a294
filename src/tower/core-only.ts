/**
 * Keeps the parts of tfjs that a tower does not use out of its thread, where only this program's code runs: layers, the
 * converter, data sets, and the backends in JavaScript and WebGL. Their places are taken by modules without exports. To be
 * imported before tfjs. The bundle of the thread does without this module: it contains the used parts alone.
 */
import { createRequire, Module } from 'node:module';
import { UNUSED_PARTS } from './unused-parts.js';

const require = createRequire(import.meta.url);
const inTfjs = createRequire(require.resolve('@tensorflow/tfjs'));

for (const name of UNUSED_PARTS) {
  const file = inTfjs.resolve(`@tensorflow/tfjs-${name}`);
  require.cache[file] ??= Object.assign(new Module(file), { loaded: true });
}
