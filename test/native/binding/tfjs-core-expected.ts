/** The expected result of an op: by tfjs's plain backend or, if that is wrong or has no kernel, by a formula. */
import tf = require('@tensorflow/tfjs');

import type { Case } from './tfjs-core-values.js';

export interface Output {
  shape: number[];
  dtype: string;
  values: (number | string)[];
}
/** An op's outputs and its inputs afterwards; or its error. */
export type Outcome = { outputs: Output[]; inputs: Output[]; isPure?: boolean } | { error: string };

/**
 * Runs a case on tfjs's backend of the moment. What is expected is computed on that of the moment too: to set one takes tfjs
 * longer than most ops.
 */
export function outcomeOf({ run, ...each }: Case, prepare = (input: tf.Tensor) => input): Outcome {
  tf.engine().startScope();
  try {
    const inputs = each.inputs().map(prepare);
    const before = inputs.map(read);
    const made = run(...inputs);
    const outputs = (Array.isArray(made) ? made : [made]).map(read);
    return { outputs, inputs: before, isPure: JSON.stringify(inputs.map(read)) === JSON.stringify(before) };
  } catch (error) {
    return { error: (error as Error).message.split('\n')[0]! };
  } finally {
    tf.engine().endScope();
  }
}

function read(tensor: tf.Tensor): Output {
  const values = tensor.dataSync() as unknown as ArrayLike<number | string>;
  return { shape: tensor.shape, dtype: tensor.dtype, values: Array.from(values) };
}

type Complex = readonly [re: number, im: number];
type Real = (...x: number[]) => number;

/** @returns the formula's outcome; undefined without a formula, or if the shapes do not fit. */
export function byFormula(each: Case, actual: Outcome): Outcome | undefined {
  if ('error' in actual || actual.outputs.length !== 1) return undefined;
  const { shape } = actual.outputs[0]!;
  const inputs = actual.inputs.map((input) => broadcast(input, shape));
  const key = `${each.op} (${each.dtypes})`;
  const real = REAL.find(({ of }) => of.test(key));
  const complex = COMPLEX[each.op];
  if (real && !key.includes('complex64')) {
    const values = inputs[0]!.map((_, i) => real.formula(...inputs.map((input) => input[i] as number)));
    return { outputs: [{ shape, dtype: real.dtype, values: real.dtype === 'float32' ? values.map(Math.fround) : values }], inputs: [] }; // biome-ignore format: a record
  }
  if (!each.dtypes.endsWith('complex64')) return undefined;
  if (each.op === 'equal' || each.op === 'notEqual') {
    const same = inputs[0]!.map((x, i) => `${asComplex(x).map(Number)}` === `${asComplex(inputs[1]![i]!).map(Number)}`);
    const values = same.map((isSame) => Number(isSame === (each.op === 'equal')));
    return { outputs: [{ shape, dtype: 'bool', values }], inputs: [] };
  }
  if (!complex) return undefined;
  const values = inputs[0]!.flatMap((_, i) => complex(asComplex(inputs[0]![i]!), asComplex(inputs.at(-1)![i]!)));
  return { outputs: [{ shape, dtype: 'complex64', values: values.map(Math.fround) }], inputs: [] };
}

/** The elements of an input for each element of an output; complex elements are pairs. */
function broadcast({ shape, dtype, values }: Output, to: number[]): (number | Complex)[] {
  const numbers = values as number[];
  const at = (i: number): number | Complex =>
    dtype === 'complex64' ? [numbers[2 * i]!, numbers[2 * i + 1]!] : numbers[i]!;
  const size = to.reduce((product, each) => product * each, 1);
  return Array.from({ length: size }, (_, place) => {
    let [index, stride, rest] = [0, 1, place];
    for (let axis = 1; axis <= to.length; axis++) {
      const length = to.at(-axis)!;
      const own = axis <= shape.length ? shape.at(-axis)! : 1;
      index += own > 1 ? (rest % length) * stride : 0;
      stride *= own;
      rest = Math.floor(rest / length);
    }
    return at(index);
  });
}

const asComplex = (value: number | Complex): Complex => (typeof value === 'number' ? [value, 0] : value);

const wrap = (whole: bigint): number => Number(BigInt.asIntN(32, whole));
const int = (formula: (...x: bigint[]) => bigint): Real => (...x) => wrap(formula(...x.map(BigInt))); // biome-ignore format: one line

/** As in NumPy: the remainder has the divisor's sign. */
function floorMod(x: number, y: number): number {
  const rest = x % y;
  return rest !== 0 && rest < 0 !== y < 0 ? Math.fround(rest) + Math.fround(y) : rest;
}

/** TensorFlow replaces a quotient below the smallest normal float32 by 0. */
function floorDiv(x: number, y: number): number {
  const quotient = Math.fround(Math.fround(x) / Math.fround(y));
  return Math.abs(quotient) < 2 ** -126 ? 0 * quotient : Math.floor(quotient);
}

/** As in C and IEEE 754: 1 to any power, even NaN, is 1, and so is -1 to an infinite power. JavaScript gives NaN. */
function power(x: number, y: number): number {
  const [base, exponent] = [Math.fround(x), Math.fround(y)];
  return base === 1 || (base === -1 && Math.abs(exponent) === Infinity) ? 1 : base ** exponent;
}

/** Formulas for ops where tfjs's plain backend computes int32 as float64, or is wrong at an edge. */
const REAL: readonly { of: RegExp; dtype: string; formula: Real }[] = [
  { of: /^mul \(int32\)/, dtype: 'int32', formula: int((x, y) => x! * y!) },
  { of: /^square \(int32\)/, dtype: 'int32', formula: int((x) => x! * x!) },
  { of: /^squaredDifference \((bool )?int32\)/, dtype: 'int32', formula: int((x, y) => BigInt(wrap(x! - y!)) ** 2n) },
  { of: /^pow \((bool )?int32\)/, dtype: 'int32', formula: int((x, y) => modularPower(x!, y!)) },
  { of: /^pow \(.*float32/, dtype: 'float32', formula: power },
  { of: /^mod \(.*float32/, dtype: 'float32', formula: (x, y) => floorMod(Math.fround(x), Math.fround(y)) },
  { of: /^floorDiv \(.*float32/, dtype: 'float32', formula: floorDiv },
  { of: /^sign \(float32/, dtype: 'float32', formula: Math.sign },
  { of: /^round \(float32/, dtype: 'float32', formula: roundToEven },
];

function modularPower(base: bigint, exponent: bigint): bigint {
  let [power, factor, rest] = [1n, base, exponent];
  for (; rest > 0n; rest >>= 1n) {
    if (rest & 1n) power = BigInt.asIntN(32, power * factor);
    factor = BigInt.asIntN(32, factor * factor);
  }
  return power;
}

function roundToEven(x: number): number {
  const below = Math.floor(x);
  if (x - below !== 0.5) return x - below < 0.5 ? below : Math.ceil(x);
  return below % 2 === 0 ? below : Math.ceil(x);
}

const add = (x: Complex, y: Complex): Complex => [x[0] + y[0], x[1] + y[1]];
const sub = (x: Complex, y: Complex): Complex => [x[0] - y[0], x[1] - y[1]];
const mul = (x: Complex, y: Complex): Complex => [x[0] * y[0] - x[1] * y[1], x[0] * y[1] + x[1] * y[0]];
const conj = (x: Complex): Complex => [x[0], -x[1]];
const over = (x: Complex, d: number): Complex => [x[0] / d, x[1] / d];
const div = (x: Complex, y: Complex): Complex => over(mul(x, conj(y)), y[0] ** 2 + y[1] ** 2);
const exp = ([re, im]: Complex): Complex => [Math.exp(re) * Math.cos(im), Math.exp(re) * Math.sin(im)];
const log = ([re, im]: Complex): Complex => [Math.log(Math.hypot(re, im)), Math.atan2(im, re)];
const ONE: Complex = [1, 0];
const I: Complex = [0, 1];
const scale = (x: Complex, by: number): Complex => [x[0] * by, x[1] * by];
const sqrt = (x: Complex): Complex => (isZero(x) ? x : exp(scale(log(x), 0.5)));
const asin = (x: Complex): Complex => mul([0, -1], log(add(mul(I, x), sqrt(sub(ONE, mul(x, x))))));
const isZero = (x: Complex) => x[0] === 0 && x[1] === 0;

/** Formulas for complex tensors, for which tfjs's plain backend has few kernels. */
const COMPLEX: Record<string, (x: Complex, y: Complex) => Complex> = {
  add,
  sub,
  mul,
  div,
  divNoNan: (x, y) => (isZero(y) ? [0, 0] : div(x, y)),
  pow: (x, y) => (isZero(x) ? (isZero(y) ? ONE : [0, 0]) : exp(mul(y, log(x)))),
  squaredDifference: (x, y) => mul(sub(x, y), conj(sub(x, y))),
  neg: (x) => [-x[0], -x[1]],
  square: (x) => mul(x, x),
  reciprocal: (x) => div(ONE, x),
  exp,
  expm1: (x) => sub(exp(x), ONE),
  log1p: (x) => log(add(ONE, x)),
  sinh: (x) => over(sub(exp(x), exp([-x[0], -x[1]])), 2),
  acos: (x) => sub([Math.PI / 2, 0], asin(x)),
  acosh: (x) => log(add(x, mul(sqrt(add(x, ONE)), sqrt(sub(x, ONE))))),
  asin,
  asinh: (x) => log(add(x, sqrt(add(mul(x, x), ONE)))),
  atan: (x) => mul([0, 0.5], sub(log(sub(ONE, mul(I, x))), log(add(ONE, mul(I, x))))),
  atanh: (x) => scale(sub(log(add(ONE, x)), log(sub(ONE, x))), 0.5),
  sign: (x) => (isZero(x) ? x : over(x, Math.hypot(...x))),
};

/** Ops that treat the real and imaginary parts separately, by the first word of their names. */
const BY_PARTS = new Set(
  `addN batchToSpaceND broadcastTo concat cumsum depthToSpace diag flipLeftRight gather gatherND meshgrid mirrorPad pad
  reverse scatterND select slice spaceToBatchND sparseToDense split stack stridedSlice sum tensorScatterUpdate tile
  transpose unsortedSegmentSum unstack where`.split(/\s+/),
);

/** Runs a case of complex tensors on the plain backend, one part at a time. */
export function byParts(each: Case): Outcome | undefined {
  if (each.dtypes !== 'complex64' || !BY_PARTS.has(each.op.split(' ')[0]!)) return undefined;
  const part = (of: (x: tf.Tensor) => tf.Tensor) =>
    outcomeOf(each, (input) => (input.dtype === 'complex64' ? of(input) : input));
  const [re, im] = [part(tf.real), part(tf.imag)];
  if ('error' in re) return re;
  if ('error' in im) return im;
  const outputs = re.outputs.map(({ shape, values }, i) => ({
    shape,
    dtype: 'complex64',
    values: values.flatMap((value, at) => [value, im.outputs[i]!.values[at]!]),
  }));
  return { outputs, inputs: [] };
}

/**
 * The gradient of a linear op for its only input: for each element, the op's result for a 1 in that position, times dy,
 * summed. tfjs's plain backend has wrong gradients for some ops whose forward pass is right.
 */
export function byLinearity(each: Case): Outcome | undefined {
  const { linear } = each;
  if (!linear) return undefined;
  return tf.tidy(() => {
    const [{ shape, size }] = each.inputs() as [tf.Tensor];
    const values = Array.from({ length: size }, (_, at) => {
      const unit = tf.tensor(
        Array.from({ length: size }, (_, i) => (i === at ? 1 : 0)),
        shape,
      );
      return tf.sum(tf.mul(linear.run(unit), linear.dy(linear.run(unit)))).dataSync()[0]!;
    });
    return { outputs: [{ shape, dtype: 'float32', values }], inputs: [] };
  });
}

/** The plain backend's outcome. It computes with an int32 beside a float32 unrounded, so it is given a float32. */
export function byPlainBackend(each: Case): Outcome {
  const types = each.dtypes.split(' ');
  if (types.length < 2 || types.includes('complex64')) return outcomeOf(each);
  const dtype = types.includes('float32') ? 'float32' : 'int32';
  return outcomeOf(each, (input) => (input.dtype === dtype ? input : tf.tensor(Array.from(input.dataSync()), input.shape, dtype))); // biome-ignore format: one call
}
