/** Ops with indices, ops that make tensors from numbers, and ops with strings. */
import tf = require('@tensorflow/tfjs');

import { type Case, DTYPES, type DType, type Run, tensorOf } from './tfjs-core-values.js';

const ints = (values: number[], shape = [values.length]) => tf.tensor(values, shape, 'int32');

export function byIndices(): Case[] {
  const cases: Case[] = [];
  const addFor = (dtype: DType) => (op: string, what: string, inputs: () => tf.Tensor[], run: Run) =>
    cases.push({ op, dtypes: dtype, what, inputs, run });
  for (const dtype of DTYPES) scattered(dtype, addFor(dtype));
  const made = addFor('int32');
  for (const indices of [[0, 2, 1], [-1, 3, 9, 2], []]) {
    for (const to of ['float32', 'int32', 'bool'] as const) {
      made(`oneHot ${to}`, `${indices}`, () => [ints(indices)], (x) => tf.oneHot(x, 3, 5, -2, to)); // biome-ignore format: a row
    }
  }
  for (const [start, stop, step] of [
    [0, 5, 1],
    [5, 0, -2],
    [5, 0, 1],
    [2, 2, 1],
    [0, 1, 0.3],
    [0, -1, -0.3],
    [0, 5, -1],
    [5, 0, 2],
    [-3, 3, 2],
  ] as const) {
    // biome-ignore format: a table
    for (const dtype of ['float32', 'int32'] as const) {
      made(`range ${dtype}`, `${start} ${stop} ${step}`, () => [], () => tf.range(start, stop, step, dtype)); // biome-ignore format: a row
    }
  }
  for (const [start, stop, count] of [
    [0, 1, 5],
    [3, -3, 4],
    [2, 9, 1],
    [1, 1, 3],
  ] as const) {
    // biome-ignore format: a table
    made('linspace', `${start} ${stop} ${count}`, () => [], () => tf.linspace(start, stop, count)); // biome-ignore format: a row
  }
  for (const [value, dtype] of [
    [1.5, 'float32'],
    [-2.7, 'int32'],
    [3, 'int32'],
    [2, 'bool'],
    [NaN, 'float32'],
    [Infinity, 'float32'],
    [NaN, 'int32'],
    [3e9, 'int32'],
    ['ü', 'string'],
  ] as const) {
    // biome-ignore format: a table
    for (const shape of [[], [2, 3], [0]]) {
      made(`fill ${dtype}`, `${value} [${shape}]`, () => [], () => tf.fill(shape, value, dtype)); // biome-ignore format: a row
    }
  }
  for (const [pattern, rewrite, all] of [
    ['a', 'b', true],
    ['a', 'bb', false],
    ['^', '☃', true],
    ['[aü]+', '', true],
    ['(a)(b)?', '$1', true],
  ] as const) {
    // biome-ignore format: a table
    const inputs = () => [tensorOf([7], 'string')];
    addFor('string')('staticRegexReplace', `${pattern} ${all}`, inputs, (x) => tf.string.staticRegexReplace(x, pattern, rewrite, all)); // biome-ignore format: a row
  }
  const shapes = [[[2, 3], [3]], [[], [4]], [[5, 1], [1, 6]], [[0], [1]]] as const; // biome-ignore format: a table
  for (const [a, b] of shapes) made('broadcastArgs', `${a} ${b}`, () => [ints([...a]), ints([...b])], tf.broadcastArgs); // biome-ignore format: a row
  return cases;
}

function scattered(dtype: DType, add: (op: string, what: string, inputs: () => tf.Tensor[], run: Run) => void): void {
  const x = (...shape: number[]) => tensorOf(shape, dtype, 3);
  const tame = (...shape: number[]) => tensorOf(shape, dtype, 1, 'tame');
  add(
    'gather',
    'indices of rank 2',
    () => [x(4, 3), ints([3, 0, 1, 1], [2, 2])],
    (t, at) => tf.gather(t, at, 0),
  );
  add(
    'gather',
    'batches',
    () => [x(2, 4), ints([3, 0, 1, 1], [2, 2])],
    (t, at) => tf.gather(t, at, 1, 1),
  );
  add(
    'gather',
    'out of range',
    () => [x(4), ints([4])],
    (t, at) => tf.gather(t, at),
  );
  add(
    'gather',
    'before the first',
    () => [x(4), ints([-1])],
    (t, at) => tf.gather(t, at),
  );
  add('gatherND', 'rows', () => [x(2, 3), ints([1, 0], [2, 1])], tf.gatherND);
  add('gatherND', 'elements', () => [x(2, 3, 2), ints([1, 2, 0, 0, 0, 1], [2, 3])], tf.gatherND);
  add('gatherND', 'none', () => [x(2, 3), ints([], [0, 1])], tf.gatherND);
  add('gatherND', 'out of range', () => [x(2, 3), ints([2], [1, 1])], tf.gatherND);
  const scatter: Run = (at, values) => tf.scatterND(at, values, [5, 3]);
  add('scatterND', 'rows', () => [ints([4, 0], [2, 1]), x(2, 3)], scatter);
  add('scatterND', 'one twice', () => [ints([4, 4], [2, 1]), tame(2, 3)], scatter);
  add('scatterND', 'out of range', () => [ints([5], [1, 1]), x(1, 3)], scatter);
  add('tensorScatterUpdate', 'rows', () => [x(5, 3), ints([4, 0], [2, 1]), tame(2, 3)], tf.tensorScatterUpdate);
  add('tensorScatterUpdate', 'out of range', () => [x(5), ints([7], [1, 1]), tame(1)], tf.tensorScatterUpdate);
  const dense: Run = (at, values, other) => tf.sparseToDense(at, values, [6], other);
  add('sparseToDense', 'some', () => [ints([1, 4]), x(2), tame()], dense);
  add('sparseToDense', 'a scalar', () => [ints([1, 4]), x(), tame()], dense);
  add('sparseToDense', 'none', () => [ints([]), x(0), tame()], dense);
  add('sparseToDense', 'out of range', () => [ints([1, 9]), x(2), tame()], dense);
  const segments: Run = (t, ids) => tf.unsortedSegmentSum(t, ids, 3);
  add('unsortedSegmentSum', 'rows', () => [tame(4, 3), ints([2, 0, 2, 1])], segments);
  add('unsortedSegmentSum', 'negative ids', () => [tame(4), ints([2, -1, 2, 1])], segments);
  add('unsortedSegmentSum', 'out of range', () => [tame(4), ints([2, 3, 2, 1])], segments);
  add('unsortedSegmentSum', 'none', () => [tame(0, 2), ints([])], segments);
  const bins: Run = (t, weights) => tf.bincount(t, weights, 4);
  add('bincount', 'weights', () => [ints([1, 3, 1, 0, 9]), tame(5)], bins);
  add('bincount', 'no weights', () => [ints([1, 3, 1, 0]), tame(0)], bins);
  add('bincount', 'negative', () => [ints([1, -1]), tame(2)], bins);
  add('select', 'rows', () => [tf.tensor1d([1, 0], 'bool'), x(2, 3), x(2, 3)], (at, a, b) => tf.where(at.reshape([2, 1]), a, b)); // biome-ignore format: a row
  add('meshgrid', '', () => [x(3), tame(2)], (a, b) => tf.meshgrid(a, b)); // biome-ignore format: a row
}
