/** Accepted differences between the pinned backend and tfjs's plain one. An entry that no case meets is out of date. */
import type { Output } from './tfjs-core-expected.js';

/** One element that differs. */
export interface Difference {
  actual: number | string;
  expected: number | string;
  /** The absolute value of the expected number, also of a complex one. */
  magnitude: number;
  /** Its place in the output. */
  at: number;
  inputs: Output[];
  what: string;
}

export interface Accepted {
  /** Of `op (data types)`. */
  of: RegExp;
  why: string;
  /** The pinned backend's data type, where that is what differs. */
  dtype?: string;
  /** Shapes may differ, depending on the inputs. */
  isShape?: true;
  is?(difference: Difference): boolean;
}

const numbers = ({ inputs }: Difference): number[] => inputs.flatMap(({ values }) => values as number[]);
const isEmpty = ({ inputs }: Difference): boolean => inputs[0]!.values.length === 0;
const hasNaN = (difference: Difference): boolean => numbers(difference).some(Number.isNaN);
const isHuge = (difference: Difference): boolean => numbers(difference).some((x) => !(Math.abs(x) < 1e18));
const isZero = ({ actual, expected }: Difference): boolean => actual === 0 && expected === 0;
/** Rounding of float32 relative to the largest input, where the plain backend adds in float64. */
const isRounding = (difference: Difference): boolean => {
  const { actual, expected } = difference as { actual: number; expected: number } & Difference;
  return Math.abs(actual - expected) <= 1e-6 * Math.max(...numbers(difference).map(Math.abs));
};

export const ACCEPTED: readonly Accepted[] = [
  {
    of: /^(gradient of )?(addN|cumsum|floorDiv|max|maximum|mean|min|minimum|mod|pow|prelu|relu|relu6|sign|sum) \(/,
    why: 'the sign of a zero: of equal numbers either may be the larger, and a sum may begin with 0',
    is: isZero,
  },
  {
    of: /complex64\)$/,
    why: 'the sign of a zero part, and what comes of a division by zero or of parts whose square is no float32',
    is: (difference) => isZero(difference) || isHuge(difference) || !Number.isFinite(difference.expected),
  },
  {
    of: /^pow \(.*complex64\)/,
    why: "C++'s library has it by exp(y log x) in float32: a power of 0 is no number, and large exponents cost digits",
    is: ({ actual, expected, magnitude }) =>
      !Number.isFinite(actual) || Math.abs((actual as number) - (expected as number)) <= 1e-4 * magnitude,
  },
  {
    of: /^cast to int32 \((float32|complex64)\)/,
    why: 'NaN and what is beyond int32 has no int32: TensorFlow and NumPy have -2^31, JavaScript the rest of a division',
    is: ({ inputs: [input], at }) => {
      const value = (input!.values as number[])[input!.dtype === 'complex64' ? 2 * at : at]!;
      return !(Math.abs(value) < 2 ** 31);
    },
  },
  {
    of: /^abs \(int32\)/,
    why: '2^31 is no int32: TensorFlow has the largest there is, JavaScript -2^31',
    is: ({ actual, expected }) => actual === 2 ** 31 - 1 && expected === -(2 ** 31),
  },
  {
    of: /^(prod|cumprod|matMul) \(int32\)/,
    why: 'beyond int32 TensorFlow keeps the lowest 32 bits, the plain backend computes in float64 and loses them',
    is: ({ what }) => what.startsWith('edges'),
  },
  {
    of: /^all \(bool\)/,
    why: 'all of nothing is true, as in NumPy',
    is: (difference) => isEmpty(difference) && difference.actual === 1,
  },
  {
    of: /^(max|min|logSumExp) \(/,
    why: 'of nothing: what is smaller, or larger, than every number; the plain backend has NaN or 0',
    is: isEmpty,
  },
  {
    of: /^mean \(/,
    why: 'of nothing: 0 / 0, as in NumPy; the plain backend has 0',
    is: (difference) => isEmpty(difference) && Number.isNaN(difference.actual),
  },
  {
    of: /^(mean|resizeBilinear) \(int32\)/,
    why: 'computed in float32, in the plain backend in float64',
    is: isRounding,
  },
  {
    of: /^resizeNearestNeighbor \(int32\)/,
    why: 'the plain backend takes int32 by way of float32',
    is: ({ actual, expected }) => actual === 2 ** 31 - 1 && expected === -(2 ** 31),
  },
  {
    of: /^arg(Max|Min) \(float32\)/,
    why: 'TensorFlow passes over NaN, wherever it is; the plain backend does so unless it is the first',
    is: hasNaN,
  },
  { of: /^topk \(float32\)/, why: "the plain backend's order of NaN is none; ours has a test of its own", is: hasNaN },
  { of: /^unique \(float32\)/, why: 'NaN is not equal to NaN, as in IEEE 754', isShape: true, is: hasNaN },
  { of: /^clipByValue \(bool\)/, why: 'a bool between numbers is a number', dtype: 'int32', is: () => true },
  { of: /^unsortedSegmentSum \(int32\)/, why: 'a sum of int32 is an int32', dtype: 'int32' },
  {
    of: /^(fill bool|oneHot bool|pad with 2.5) \((int32|bool)\)/,
    why: 'a bool is 0 or 1; the plain backend keeps any number',
    is: ({ actual, expected }) => actual === 1 && expected !== 0,
  },
  {
    of: /^staticRegexReplace \(string\)/,
    why: "TensorFlow's regular expressions are RE2's: a group is \\1, not $1",
    is: ({ what }) => what.startsWith('(a)(b)?'),
  },
  {
    of: /^nonMaxSuppressionWithScore, soft/,
    why: 'with a sigma TensorFlow 2.21 keeps boxes over the threshold at a lower score, where tfjs drops them',
    isShape: true,
    is: () => true,
  },
  {
    of: /^matMul \(float32\)/,
    why: 'infinity - infinity: a sum that leaves float32 in the midst, where the plain backend adds in float64',
    is: ({ actual, expected, what }) => what === 'edges' && Number.isNaN(actual) && !Number.isFinite(expected),
  },
  {
    of: /^gradient of maxPool \(float32\)/,
    why: 'a window without a largest: TensorFlow has the first',
    is: ({ what }) => /NaN|infinity/.test(what),
  },
  {
    of: /^gradient of elu \(float32\)/,
    why: 'of NaN: the output is NaN, so it is seen there',
    is: ({ inputs, at }) => Number.isNaN(inputs[0]!.values[at]),
  },
  {
    of: /^gradient of (mod|pow) \(float32\)/,
    why: 'of numbers as 1 to the power NaN, where JavaScript differs, and of quotients under the smallest float32',
    is: ({ actual, expected }) => Number.isNaN(expected) || (actual === 0 && expected === 1),
  },
];

/** The allowed sentences of refusals, each of which names what was wrong. */
export const REFUSALS: readonly RegExp[] = [
  /Value for attr 'T' of (bool|int32|string) is not in the list of allowed values/,
  /Could not find device for node: .*(DT_BOOL|DT_INT32)/,
  /Integer division by zero/,
  /Integers to negative integer powers are not allowed/,
  /Reduction axis \d is empty/,
  /Input must be at least rank 1, got 0/,
  /segment_ids\[1\] = 3 is out of range/,
  /Requires delta != 0/,
  /supports only 'valid' and 'same' padding/,
  /Value for attr 'padding' of "(NUMBER|EXPLICIT)"/,
  /explicit_paddings attribute must contain 8 values/,
  /only supports equal length strides/,
  /only NHWC is supported; transpose/,
];
