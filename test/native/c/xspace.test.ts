/** Reads made-up records of the profiler, also those of a GPU, which this suite has not. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { eventsOf } from '../../../src/native/c/xspace.js';
import { deviceXSpace, hostXSpace } from '../../xspace.js';

const ORIGIN = 1_800_000_000_000;

test('eventsOf() reads the ops on the threads of the host, with times from the origin', () => {
  const bytes = hostXSpace(ORIGIN + 1, [
    { line: 'tf_Compute', name: 'tower0/conv1/forward/Conv2D_7:Conv2D', startMs: 2, ms: 0.5 },
    { line: 'tf_Compute', name: 'ThreadpoolListener::Record', startMs: 3, ms: 0 },
    { line: 'node', name: 'EagerExecute', startMs: 0.25, ms: 4 },
  ]);
  const events = eventsOf(bytes, ORIGIN);
  assert.deepEqual(
    events.map(({ name, plane, line, op }) => [name, plane, line, op]),
    [
      ['tower0/conv1/forward/Conv2D_7:Conv2D', '/host:CPU', 'tf_Compute 0', ''],
      ['ThreadpoolListener::Record', '/host:CPU', 'tf_Compute 0', ''],
      ['EagerExecute', '/host:CPU', 'node 1', ''],
    ],
  );
  // Times since 1970 in ns are rounded to a quarter of a microsecond.
  const expected = [3, 4, 1.25];
  for (const [i, { start }] of events.entries()) assert.ok(Math.abs(start - expected[i]!) < 5e-4, `${start}`);
  assert.deepEqual(
    events.map(({ ms }) => ms),
    [0.5, 0, 4],
  );
});

test('eventsOf() finds the op of a kernel on a GPU, as a text or a reference', () => {
  const bytes = deviceXSpace(ORIGIN, [
    {
      line: 'Stream #20(Compute)',
      name: 'ampere_sgemm',
      op: 'tower0/fc6/forward/MatMul_3:MatMul',
      as: 'text',
      startMs: 1,
      ms: 2,
    },
    {
      line: 'Stream #20(Compute)',
      name: 'relu_kernel',
      op: 'tower0/fc6/forward/Relu_4:Relu',
      as: 'reference',
      startMs: 3,
      ms: 1,
    },
    { line: 'Stream #21(MemcpyD2H)', name: 'MemcpyD2H', startMs: 4, ms: 1 },
  ]);
  const events = eventsOf(bytes, ORIGIN);
  assert.deepEqual(
    events.map(({ name, plane, op }) => [name, plane, op]),
    [
      ['ampere_sgemm', '/device:GPU:0', 'tower0/fc6/forward/MatMul_3:MatMul'],
      ['relu_kernel', '/device:GPU:0', 'tower0/fc6/forward/Relu_4:Relu'],
      ['MemcpyD2H', '/device:GPU:0', ''],
    ],
  );
});

test('eventsOf() of nothing is nothing', () => {
  assert.deepEqual(eventsOf(new Uint8Array(), 0), []);
});
