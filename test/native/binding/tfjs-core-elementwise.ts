/** Ops that work element by element, on every data type and every edge of it, and their gradients. */
import tf = require('@tensorflow/tfjs');

import { type Case, DTYPES, type DType, edgesOf, everyPair, type Run, tensorOf } from './tfjs-core-values.js';

const UNARY: Record<string, Run> = {
  abs: tf.abs,
  acos: tf.acos,
  acosh: tf.acosh,
  asin: tf.asin,
  asinh: tf.asinh,
  atan: tf.atan,
  atanh: tf.atanh,
  'cast to bool': (x) => tf.cast(x, 'bool'),
  'cast to complex64': (x) => tf.cast(x, 'complex64'),
  'cast to float32': (x) => tf.cast(x, 'float32'),
  'cast to int32': (x) => tf.cast(x, 'int32'),
  ceil: tf.ceil,
  clipByValue: (x) => tf.clipByValue(x, -1.5, 2.5),
  clone: tf.clone,
  cos: tf.cos,
  cosh: tf.cosh,
  elu: tf.elu,
  erf: tf.erf,
  exp: tf.exp,
  expandDims: (x) => tf.expandDims(x, 0),
  expm1: tf.expm1,
  floor: tf.floor,
  imag: tf.imag,
  isFinite: tf.isFinite,
  isInf: tf.isInf,
  isNaN: tf.isNaN,
  leakyRelu: (x) => tf.leakyRelu(x, 0.1),
  log: tf.log,
  log1p: tf.log1p,
  logSigmoid: tf.logSigmoid,
  logicalNot: tf.logicalNot,
  neg: tf.neg,
  onesLike: tf.onesLike,
  real: tf.real,
  reciprocal: tf.reciprocal,
  relu: tf.relu,
  relu6: tf.relu6,
  reshape: (x) => tf.reshape(x, [x.size]),
  round: tf.round,
  rsqrt: tf.rsqrt,
  selu: tf.selu,
  sigmoid: tf.sigmoid,
  sign: tf.sign,
  sin: tf.sin,
  sinh: tf.sinh,
  softplus: tf.softplus,
  sqrt: tf.sqrt,
  square: tf.square,
  step: tf.step,
  'step with a slope': (x) => tf.step(x, 0.2),
  tan: tf.tan,
  tanh: tf.tanh,
  zerosLike: tf.zerosLike,
};

const BINARY: Record<string, Run> = {
  add: tf.add,
  atan2: tf.atan2,
  div: tf.div,
  divNoNan: tf.divNoNan,
  equal: tf.equal,
  floorDiv: tf.floorDiv,
  greater: tf.greater,
  greaterEqual: tf.greaterEqual,
  less: tf.less,
  lessEqual: tf.lessEqual,
  logicalAnd: tf.logicalAnd,
  logicalOr: tf.logicalOr,
  logicalXor: tf.logicalXor,
  maximum: tf.maximum,
  minimum: tf.minimum,
  mod: tf.mod,
  mul: tf.mul,
  notEqual: tf.notEqual,
  pow: tf.pow,
  prelu: tf.prelu,
  squaredDifference: tf.squaredDifference,
  sub: tf.sub,
};

/** Ops whose gradients are not compared: tfjs has none, or builds them from other ops. */
const WITHOUT_GRADIENT =
  /^(is|cast|clone|equal|notEqual|less|greater|logical(And|Or|Xor|Not)|real|imag|step|expandDims|reshape|(ones|zeros)Like)/;

const SHAPES: number[][] = [[1], [0], [26], [64], [2, 13], [3, 0, 2], [2, 3, 4], [2, 3, 2, 3], [2, 1, 3, 2, 3]];

function unary(): Case[] {
  const cases: Case[] = [];
  for (const [op, run] of Object.entries(UNARY)) {
    for (const dtype of DTYPES) {
      const add = (shape: number[], from: number) =>
        cases.push({ op, dtypes: dtype, what: `[${shape}]`, inputs: () => [tensorOf(shape, dtype, from)], run });
      // TensorFlow computes single values and rows of values in different ways.
      for (const from of edgesOf(dtype).keys()) add([], from);
      for (const [from, shape] of SHAPES.entries()) add(shape, from);
    }
    if (WITHOUT_GRADIENT.test(op)) continue;
    const gradient: Run = (x) => tf.grad(run as (x: tf.Tensor) => tf.Tensor)(x);
    for (const shape of [[], [26], [2, 13]]) {
      const what = `[${shape}]`;
      cases.push({
        op: `gradient of ${op}`,
        dtypes: 'float32',
        what,
        inputs: () => [tensorOf(shape, 'float32', 5)],
        run: gradient,
      });
    }
  }
  return cases;
}

const PAIRS: [DType, DType][] = [
  ...DTYPES.map((each): [DType, DType] => [each, each]),
  ...['int32 float32', 'float32 int32', 'bool int32', 'bool float32', 'float32 complex64'].map(
    (each) => each.split(' ') as [DType, DType],
  ),
];

function binary(): Case[] {
  const cases: Case[] = [];
  for (const [op, run] of Object.entries(BINARY)) {
    for (const [left, right] of PAIRS) {
      const [n, m] = [edgesOf(left).length, edgesOf(right).length];
      const dtypes = left === right ? left : `${left} ${right}`;
      const add = (a: number[], b: number[], fromA = 0, fromB = 1) =>
        cases.push({
          op,
          dtypes,
          what: `[${a}] [${b}]`,
          inputs: () => [tensorOf(a, left, fromA), tensorOf(b, right, fromB)],
          run,
        });
      // Every pair of values: by broadcasting in both directions, and without.
      add([n, 1], [m]);
      add([n], [m, 1]);
      add([n, m], [m]);
      cases.push({ op, dtypes, what: 'every pair', inputs: () => everyPair(left, right), run });
      for (let from = 0; from < Math.max(n, m); from += 3) {
        add([], [m], from);
        add([n], [], 0, from + 1);
        add([], [], from, from * 2 + 1);
      }
      add([2, 3, 2], [2, 3, 2], 3);
      add([1, 2, 1, 2, 1], [2, 1, 3, 1, 2]);
      add([0], [1]);
      add([2, 0], [2, 1]);
    }
    if (WITHOUT_GRADIENT.test(op)) continue;
    const gradient: Run = (a, b) => tf.grads(run as (a: tf.Tensor, b: tf.Tensor) => tf.Tensor)([a, b]);
    const inputs = () => everyPair('float32', 'float32');
    cases.push({ op: `gradient of ${op}`, dtypes: 'float32', what: 'every pair', inputs, run: gradient });
  }
  return cases;
}

export const elementwise = (): Case[] => [...unary(), ...binary()];
