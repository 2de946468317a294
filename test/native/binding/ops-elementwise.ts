/** Rows for ops that work element by element. */
import tf = require('@tensorflow/tfjs');

import { bools, floatsOf, type InputOf, integers, intsOf, NO_GRADIENT, type Row, reals, row } from './ops-row.js';

type Unary = (x: tf.Tensor) => tf.Tensor;

const UNARY: [name: string, op: Unary, low?: number, high?: number][] = [
  ['abs', tf.abs],
  ['acos', tf.acos, -0.9, 0.9],
  ['acosh', tf.acosh, 1.1, 3],
  ['asin', tf.asin, -0.9, 0.9],
  ['asinh', tf.asinh],
  ['atan', tf.atan],
  ['atanh', tf.atanh, -0.9, 0.9],
  ['ceil', tf.ceil],
  ['clipByValue', (x) => tf.clipByValue(x, -1, 0.5)],
  ['cos', tf.cos],
  ['cosh', tf.cosh],
  ['elu', tf.elu],
  ['erf', tf.erf],
  ['exp', tf.exp],
  ['expm1', tf.expm1],
  ['floor', tf.floor],
  ['leakyRelu', (x) => tf.leakyRelu(x, 0.1)],
  ['log', tf.log, 0.1, 3],
  ['log1p', tf.log1p, -0.5, 3],
  ['logSigmoid', tf.logSigmoid],
  ['neg', tf.neg],
  ['reciprocal', tf.reciprocal, 0.5, 2],
  ['relu', tf.relu],
  ['relu6', tf.relu6, -2, 8],
  ['round', tf.round],
  ['rsqrt', tf.rsqrt, 0.1, 3],
  ['selu', tf.selu],
  ['sigmoid', tf.sigmoid],
  ['sign', tf.sign],
  ['sin', tf.sin],
  ['sinh', tf.sinh],
  ['softplus', tf.softplus],
  ['sqrt', tf.sqrt, 0.1, 3],
  ['square', tf.square],
  ['step', (x) => tf.step(x, 0.2)],
  ['tan', tf.tan, -1, 1],
  ['tanh', tf.tanh],
];

const PAIR: InputOf[] = [reals([2, 3, 4]), reals([3, 1])];
const SAME_SHAPES: InputOf[] = [reals([3, 4]), reals([3, 4])];
const INTEGERS: InputOf[] = [integers([3, 4]), intsOf([2, -3, 5, 7])];
const BOOLS: InputOf[] = [bools([2, 5]), bools([5])];
const SPECIAL = floatsOf([1, Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY, 0]);
const SAME = intsOf([1, 2, 3, 4, 5, 6], [2, 3]);
const ALMOST = intsOf([1, 9, 3], [3]);

const NOT_REDUCED = { ...NO_GRADIENT, note: "tfjs's gradient to a broadcast input has the output's shape, and fails" };

export const ELEMENTWISE: Row[] = [
  ...UNARY.map(([name, op, low, high]) => row(name, [reals([3, 4], low, high)], op)),
  row('abs of int32', [integers([7])], tf.abs, NO_GRADIENT),
  row('neg of int32', [integers([7])], tf.neg, NO_GRADIENT),
  row('square of int32', [integers([7])], tf.square, NO_GRADIENT),
  row('round of halves, to even', [floatsOf([-2.5, -1.5, -0.5, 0.5, 1.5, 2.5])], tf.round),
  row('isNaN', [SPECIAL], tf.isNaN, NO_GRADIENT),
  row('isInf', [SPECIAL], tf.isInf, NO_GRADIENT),
  row('isFinite', [SPECIAL], tf.isFinite, NO_GRADIENT),
  row('exp of infinities', [SPECIAL], tf.exp, NO_GRADIENT),
  row('prelu', [reals([2, 3, 4]), reals([4], 0.1, 0.4)], (x, alpha) => tf.prelu(x, alpha)),
  row('zerosLike', [reals([2, 3])], tf.zerosLike),
  row('onesLike', [reals([2, 3])], tf.onesLike),

  row('add, broadcast', PAIR, tf.add),
  row('sub, broadcast', PAIR, tf.sub),
  row('mul, broadcast', PAIR, tf.mul),
  row('div, broadcast', [reals([2, 3, 4]), reals([3, 1], 0.5, 2)], tf.div),
  row('divNoNan', [reals([4]), floatsOf([0, 2, -1, 0])], tf.divNoNan, NO_GRADIENT),
  row('pow, broadcast', [reals([2, 3, 4], 0.5, 2), reals([4])], (x, y) => tf.pow(x, y)),
  row('maximum', SAME_SHAPES, tf.maximum),
  row('minimum', SAME_SHAPES, tf.minimum),
  row('squaredDifference', SAME_SHAPES, tf.squaredDifference),
  row('maximum, broadcast', PAIR, tf.maximum, NOT_REDUCED),
  row('minimum, broadcast', PAIR, tf.minimum, NOT_REDUCED),
  row('squaredDifference, broadcast', PAIR, tf.squaredDifference, NOT_REDUCED),
  row('atan2', [reals([3, 4]), reals([4], 0.5, 2)], tf.atan2),
  row('mod, of negatives too', [reals([3, 4]), reals([4], 0.5, 2)], tf.mod),
  row(
    'floorDiv, of negatives too',
    [reals([3, 4]), reals([4], 0.5, 2)],
    (x, y) => tf.cast(tf.floorDiv(x, y), 'float32'),
    { note: "tfjs's plain backend makes int32 of it, TensorFlow keeps float32" },
  ),
  row('addN', [reals([2, 3]), reals([2, 3]), reals([2, 3])], (...all) => tf.addN(all)),
  row('scalar arithmetic', [reals([5])], (x) => tf.add(tf.mul(x, 3), 1)),

  row('add of int32', INTEGERS, tf.add, NO_GRADIENT),
  row('sub of int32', INTEGERS, tf.sub, NO_GRADIENT),
  row('mul of int32', INTEGERS, tf.mul, NO_GRADIENT),
  row('div of int32, which rounds down', INTEGERS, tf.div, NO_GRADIENT),
  row('floorDiv of int32', INTEGERS, tf.floorDiv, NO_GRADIENT),
  row('mod of int32', INTEGERS, tf.mod, NO_GRADIENT),
  row('maximum of int32', INTEGERS, tf.maximum, NO_GRADIENT),
  row('minimum of int32', INTEGERS, tf.minimum, NO_GRADIENT),
  row('add of int32 and float32', [integers([3]), reals([3])], tf.add, NO_GRADIENT),

  row('equal', [SAME, ALMOST], tf.equal, NO_GRADIENT),
  row('notEqual', [SAME, ALMOST], tf.notEqual, NO_GRADIENT),
  row('less', PAIR, tf.less, NO_GRADIENT),
  row('lessEqual', [SAME, ALMOST], tf.lessEqual, NO_GRADIENT),
  row('greater', PAIR, tf.greater, NO_GRADIENT),
  row('greaterEqual', [SAME, ALMOST], tf.greaterEqual, NO_GRADIENT),
  row('logicalAnd', BOOLS, tf.logicalAnd, NO_GRADIENT),
  row('logicalOr', BOOLS, tf.logicalOr, NO_GRADIENT),
  row('logicalXor', BOOLS, tf.logicalXor, NO_GRADIENT),
  row('logicalNot', [bools([6])], (x) => tf.logicalNot(x), NO_GRADIENT),
  row('where', [bools([2, 3]), reals([2, 3]), reals([2, 3])], (condition, x, y) => tf.where(condition, x, y)),
];
