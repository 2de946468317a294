/**
 * Every op of a training on GPUs has a GPU kernel. An op without one fails when it is called alone; in a function that does
 * not give it a device, TensorFlow runs it on the host without any message.
 */
import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { TABLES } from '../../src/model/tables.js';
import { type Ended, runNode } from '../native/child.js';
import { fakeGpus } from './fake-gpu.js';
import { GpuKernels } from './kernels.js';
import type { RecordedFunction, RecordedOp } from './record-ops.js';

const gpus = await fakeGpus();
const { skip } = gpus;
const folder = mkdtempSync(join(tmpdir(), 'alexnet-split-gpu-kernels-'));
after(() => rmSync(folder, { recursive: true }));

const isOnHost = ({ device }: RecordedOp) => /device:CPU:\d+$/i.test(device);

/** What may be copied between a GPU and the host in each step: labels, and tensors for the host queues. */
const COPIES = [
  /^labels of SparseSoftmaxCrossEntropyWithLogits is copied to the GPU, from an input$/,
  /copied to the GPU, from QueueDequeueV2$/,
];

describe('trainings on two stand-in GPUs', { skip }, () => {
  const kernels = new GpuKernels();
  let ended: Ended;
  let functions: RecordedFunction[] = [];
  /** The ops that ran, inside functions and outside. */
  let ops: (RecordedOp & { where: string })[] = [];

  before(async () => {
    const file = join(folder, 'ops.ndjson');
    const here = (name: string) => new URL(name, import.meta.url);
    const env = gpus.env();
    ended = await runNode([fileURLToPath(here('trainings.js')), folder], {
      ...env,
      NODE_OPTIONS: `${env.NODE_OPTIONS} --import=${here('record-ops.js').href}`,
      RECORDED_OPS: file,
    });
    assert.equal(ended.code, 0, ended.stderr);
    const lines = readFileSync(file, 'utf8').trim().split('\n');
    const recorded = lines.map((line): RecordedFunction | RecordedOp => JSON.parse(line));
    functions = recorded.filter((each) => 'fn' in each);
    const names = new Set(functions.map(({ fn }) => fn));
    ops = [
      ...functions.flatMap(({ fn, nodes }) => nodes.map((node) => ({ ...node, where: `in ${fn}` }))),
      ...recorded.flatMap((each) => ('fn' in each ? [] : [{ ...each, where: 'alone' }])),
    ].filter(({ op }) => !names.has(op));
  });

  test('end with the same losses in both placements', () => {
    const runs = ended.stdout
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line));
    for (const { name, exitCode, losses, wrong } of runs) {
      assert.deepEqual({ name, exitCode, wrong }, { name, exitCode: 0, wrong: [] });
      assert.equal(losses.length, 2, name);
    }
    const tables = Object.keys(TABLES);
    assert.deepEqual(
      tables.filter((table) => !runs.some(({ name }) => name.split(/\W* /)[1] === table)),
      [],
    );
    const [split, single] = runs;
    split.losses.forEach((loss: number, i: number) => {
      assert.ok(Math.abs(loss - single.losses[i]) <= 1e-4 * loss, `${loss} and ${single.losses[i]}`);
    });
  });

  test('run only ops that have a GPU kernel', () => {
    const kinds = new Set(ops.filter((op) => !isOnHost(op)).map(({ op }) => op));
    const some = ['Conv2D', 'Conv2DBackpropFilter', 'MatMul', 'ResourceApplyKerasMomentum', 'StatelessRandomUniform'];
    assert.deepEqual(
      some.filter((op) => !kinds.has(op)),
      [],
    );
    const missing = ops.filter((op) => !isOnHost(op) && !kernels.has(op));
    const first = new Map(
      missing.toReversed().map(({ op, types, where }) => [`${op} ${JSON.stringify(types)}`, where]),
    );
    assert.deepEqual(
      [...first].map(([op, where]) => `${op} ${where} has no GPU kernel`),
      [],
    );
  });

  test('copy only labels and exchanged tensors between GPU and host within a function', () => {
    const copies = new Set(functions.flatMap((fn) => kernels.copies(fn, isOnHost)));
    assert.deepEqual(
      [...copies].filter((copy) => !COPIES.some((allowed) => allowed.test(copy))),
      [],
    );
  });
});

test('GpuKernels lists the ops with a GPU kernel, by their types', { skip }, () => {
  const kernels = new GpuKernels();
  const has = (op: string, types: Record<string, number[]>) => kernels.has({ op, types, device: '' });
  const [float, int32, string] = [[1], [3], [7]];
  assert.deepEqual([has('MatMul', { T: float }), has('MatMul', { T: int32 })], [true, false]);
  assert.deepEqual([has('Identity', { T: float }), has('ConcatV2', { T: string })], [true, false]);
  assert.deepEqual([has('_MklNativeMaxPool', { T: float }), has('MatrixExponential', {})], [false, false]);
});

test('GpuKernels lists what a function copies between GPU and host', { skip }, () => {
  const node = (name: string, op: string, inputs: string[], types: Record<string, number[]>, device = '') => ({
    ...{ name, op, inputs, types, device, numbers: {} },
  });
  const nodes = [
    node('zero', 'Const', [], { dtype: [1] }),
    node('around', 'Const', [], { dtype: [3] }),
    node('a', 'PadV2', ['x', 'around:output:0', 'zero:output:0'], { T: [1], Tpaddings: [3] }),
    node('b', 'Pad', ['a:output:0', 'around:output:0'], { T: [1], Tpaddings: [3] }),
    node('c', 'QueueDequeueV2', ['queue'], { component_types: [1] }, '/job:localhost/replica:0/task:0/device:CPU:0'),
    node('d', 'Mul', ['b:output:0', 'c:components:0'], { T: [1] }),
  ];
  const inputs = [
    { name: 'x', type: 1 },
    { name: 'queue', type: 20 },
  ];
  assert.deepEqual(new GpuKernels().copies({ fn: 'f', inputs, nodes }, isOnHost), [
    'constant_values of PadV2 is copied to the host, from Const',
    'y of Mul is copied to the GPU, from QueueDequeueV2',
  ]);
});
