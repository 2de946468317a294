/** Images, matrices, transforms, norms, and ops that move blocks of elements. */
import tf = require('@tensorflow/tfjs');

import { type Calls, calls, type Loose, spread } from './tfjs-core-calls.js';
import { type Activation, activated } from './tfjs-core-convolutions.js';
import { type Case, DTYPES, type Kind, tensorOf } from './tfjs-core-values.js';

export function imagesAndMatrices(): Case[] {
  const all = calls();
  resized(all);
  boxes(all);
  products(all);
  transforms(all);
  norms(all);
  blocks(all);
  return all.cases;
}

const SIZES: [number, number][] = [[7, 9], [2, 3], [4, 4], [1, 1]]; // biome-ignore format: a row

function resized({ call, both }: Calls): void {
  const resizings = Object.entries({
    resizeBilinear: tf.image.resizeBilinear,
    resizeNearestNeighbor: tf.image.resizeNearestNeighbor,
  });
  for (const [op, resize] of resizings) {
    for (const to of SIZES) {
      for (const [corners, centres] of [
        [false, false],
        [true, false],
        [false, true],
      ]) {
        // biome-ignore format: a row
        const what = `to ${to}, corners ${corners}, centres ${centres}`;
        const run = (x: Loose) => resize(x, to, corners, centres);
        both(op, what, [[2, 4, 4, 2]], run);
        for (const dtype of ['int32', 'bool'] as const)
          call(op, what, () => [tensorOf([1, 4, 4, 1], dtype)], run, dtype);
      }
    }
  }
}

function boxes({ call }: Calls): void {
  const some = [[0, 0, 1, 1], [0.2, 0.6, 0.9, 0.1], [-0.5, -0.5, 1.5, 1.5], [0.3, 0.3, 0.3, 0.3]]; // biome-ignore format: a table
  const cropped = () => [spread([2, 4, 4, 2]), tf.tensor2d(some), tf.tensor1d([0, 1, 0, 1], 'int32')];
  for (const method of ['bilinear', 'nearest'] as const) {
    for (const to of SIZES) {
      call('cropAndResize', `${method} to ${to}`, cropped, (x, at, of) =>
        tf.image.cropAndResize(x, at, of, to, method, 0.25),
      );
    }
  }
  const many = [[0, 0, 1, 1], [0, 0.1, 1, 1.1], [0, -0.1, 1, 0.9], [0, 10, 1, 11], [1, 11, 0, 10], [0, 100, 1, 101]]; // biome-ignore format: a table
  const scored = () => [tf.tensor2d(many), tf.tensor1d([0.9, 0.75, 0.6, 0.95, 0.5, 0.3])];
  for (const [most, overlap, least] of [
    [3, 0.5, Number.NEGATIVE_INFINITY],
    [6, 0.01, 0.4],
    [6, 0.99, 0],
    [0, 0.5, 0],
  ] as const) {
    // biome-ignore format: a table
    const what = `${most} ${overlap} ${least}`;
    const { nonMaxSuppression, nonMaxSuppressionPadded, nonMaxSuppressionWithScore } = tf.image;
    call('nonMaxSuppression', what, scored, (b, s) => nonMaxSuppression(b, s, most, overlap, least));
    call('nonMaxSuppressionPadded', what, scored, (b, s) =>
      Object.values(nonMaxSuppressionPadded(b, s, most, overlap, least, true)),
    );
    for (const [soft, sigma] of [
      ['', 0],
      [', soft', 0.5],
    ] as const) {
      // biome-ignore format: a row
      call(`nonMaxSuppressionWithScore${soft}`, what, scored, (b, s) =>
        Object.values(nonMaxSuppressionWithScore(b, s, most, overlap, least, sigma)),
      );
    }
  }
  for (const dtype of DTYPES) {
    call('flipLeftRight', '', () => [tensorOf([2, 3, 4, 2], dtype)], (x) => tf.image.flipLeftRight(x), dtype); // biome-ignore format: a row
  }
}

const MATRICES = [
  [[2, 3], [3, 4]],
  [[2, 2, 3], [2, 3, 4]],
  [[1, 2, 3], [5, 3, 1]],
  [[2, 0], [0, 3]],
  [[0, 3], [3, 2]],
  [[40, 70], [70, 33]],
  [[1, 3], [3, 1]],
] as [number[], number[]][]; // biome-ignore format: a table
const EQUATIONS: [equation: string, ...shapes: number[][]][] = [
  ['ij,jk->ik', [2, 3], [3, 4]],
  ['ij->ji', [2, 3]],
  ['ij->', [2, 3]],
  ['bij,bjk->bik', [2, 3, 4], [2, 4, 2]],
  ['i,j->ij', [3], [4]],
  ['ij,ij->i', [2, 3], [2, 3]],
];

function products({ call, both }: Calls): void {
  const turned = (shape: number[]) => [...shape.slice(0, -2), shape.at(-1)!, shape.at(-2)!];
  for (const [a, b] of MATRICES) {
    both('matMul', `${a} ${b}`, [a, b], (x, y) => tf.matMul(x, y));
    both('matMul', `${a} ${b}, turned`, [turned(a), turned(b)], (x, y) => tf.matMul(x, y, true, true));
    for (const dtype of ['int32', 'bool'] as const) {
      for (const kind of ['edges', 'tame'] satisfies Kind[]) {
        const inputs = () => [tensorOf(a, dtype, 0, kind), tensorOf(b, dtype, 1, kind)];
        call('matMul', `${kind} ${a} ${b}`, inputs, (x, y) => tf.matMul(x, y), dtype);
      }
    }
  }
  const edges = () => [tensorOf([5, 5], 'float32'), tensorOf([5, 5], 'float32', 7)];
  call('matMul', 'edges', edges, (x, y) => tf.matMul(x, y));
  for (const activation of ['relu', 'relu6', 'elu', 'sigmoid', 'leakyrelu', 'prelu', 'linear'] satisfies Activation[]) {
    both('fused.matMul', activation, [[3, 4], [4, 5], [5], [5]], (a, b, bias, weights) =>
      tf.fused.matMul({ a, b, ...activated(activation, bias, weights) }),
    ); // biome-ignore format: inputs in a row
  }
  for (const [equation, ...shapes] of EQUATIONS) {
    const run = (...all: tf.Tensor[]) => tf.einsum(equation, ...all);
    call('einsum', equation, shapes, run);
    call('einsum', equation, () => shapes.map((shape, i) => tensorOf(shape, 'int32', i, 'tame')), run, 'int32');
  }
}

function transforms({ call, both }: Calls): void {
  for (const shape of [[4], [2, 8], [2, 3, 6], [1]]) {
    const inputs = () => [tensorOf(shape, 'complex64', 0, 'tame')];
    call('fft', `[${shape}]`, inputs, (x) => tf.fft(x), 'complex64');
    call('ifft', `[${shape}]`, inputs, (x) => tf.ifft(x), 'complex64');
    both('rfft', `[${shape}]`, [shape], (x) => tf.abs(tf.spectral.rfft(x)));
  }
  const parts = () => [tensorOf([2, 13], 'float32'), tensorOf([2, 13], 'float32', 3)];
  call('complex', '', parts, (x, y) => tf.complex(x, y));
}

function norms({ both }: Calls): void {
  const norm = tf.batchNorm as Loose;
  for (const shape of [
    [3, 4],
    [2, 3, 4],
    [2, 3, 2, 4],
  ]) {
    // biome-ignore format: a row
    const of = (each: number[]) => [shape, each, each, each, each];
    const run = (x: Loose, mean: Loose, variance: Loose, offset: Loose, scale: Loose) =>
      norm(x, mean, tf.abs(variance), offset, scale, 0.01);
    both('batchNorm', `[${shape}]`, of([4]), run);
    both('batchNorm', `[${shape}], each its own`, of(shape), run);
    both('batchNorm', `[${shape}], no scale`, of([4]).slice(0, 3), (x, mean, variance) =>
      norm(x, mean, tf.abs(variance)),
    );
  }
  for (const [radius, bias, alpha, beta] of [
    [5, 1, 1, 0.5],
    [1, 2, 0.3, 0.75],
    [2, 1, 1e-4, 1],
    [0, 1, 1, 0.5],
  ] as const) {
    // biome-ignore format: a table
    const run = (x: Loose) => tf.localResponseNormalization(x, radius, bias, alpha, beta);
    both('localResponseNormalization', `${radius} ${bias} ${alpha} ${beta}`, [[2, 3, 2, 7]], run);
  }
}

function blocks({ call }: Calls): void {
  for (const dtype of DTYPES) {
    const x = (...shape: number[]) => () => [tensorOf(shape, dtype, 2)]; // biome-ignore format: one line
    call('batchToSpaceND', '', x(4, 2, 3, 2), (t) => tf.batchToSpaceND(t, [2, 2], [[0, 1], [1, 0]]), dtype); // biome-ignore format: a row
    call('spaceToBatchND', '', x(2, 2, 3, 2), (t) => tf.spaceToBatchND(t, [2, 2], [[0, 0], [1, 0]]), dtype); // biome-ignore format: a row
    for (const order of ['NHWC', 'NCHW'] as const) {
      call(`depthToSpace ${order}`, '', x(1, 4, 4, 4), (t) => tf.depthToSpace(t, 2, order), dtype);
    }
  }
}
