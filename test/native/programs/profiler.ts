/** Starts and ends sessions of TensorFlow's profiler, in a process that a mistake may end. Prints what was found. */
import tf = require('@tensorflow/tfjs');

import { profilerNow, startProfiler } from '../../../src/native/c/profiler.js';
import { eventsOf } from '../../../src/native/c/xspace.js';
import { inScope } from '../../../src/native/graph/scope.js';
import { compile, useDevice } from '../../../src/native/index.js';

useDevice('CPU:0');
const scope = { forward: 'tower0/conv1/forward', backward: 'tower0/conv1/backward' };
const compiled = compile((x) => [inScope(scope, () => tf.relu(x))]);
const x = tf.ones([64, 64]);
compiled(x)[0]!.dataSync(); // before the session: compiles

const found: unknown[] = [];
for (let round = 0; round < 3; round++) {
  const before = profilerNow()!;
  const session = startProfiler();
  const second = startProfiler();
  compiled(x)[0]!.dataSync();
  const bytes = session!.stop();
  const after = profilerNow()!;
  compiled(x)[0]!.dataSync(); // after the session
  const events = eventsOf(bytes!, before).filter(({ name }) => name.includes('tower0/conv1/forward/'));
  const isWithin = events.every(({ start, ms }) => start >= 0 && start + ms <= after - before);
  found.push({ second: second === undefined, names: events.map(({ name }) => name.replace(/_\d+:/, ':')), isWithin });
}
console.log(JSON.stringify({ found, now: Math.abs(profilerNow()! - Date.now()) < 1000 }));
