/** The shape of a row of the table of ops, and the values its inputs are made of. */
import type * as tf from '@tensorflow/tfjs';

/** Values of one input, from which either backend makes a tensor. */
export interface Input {
  shape: number[];
  dtype: 'float32' | 'int32' | 'bool' | 'string';
  values: number[] | string[];
}

/** Makes an input; `position` is its index in the row, so that the inputs of a row differ. */
export type InputOf = (position: number) => Input;

export type Output = tf.Tensor | tf.Tensor[];

/** One op with inputs. A method type, so that `run` may ask for tensors of one rank. */
export interface Row {
  name: string;
  inputs: Input[];
  run(...inputs: tf.Tensor[]): Output;
  /** Whether the gradient for every float input is compared. False if tfjs has none. */
  hasGradient: boolean;
  /** Largest difference, as a part of the largest magnitude (at least 1) in the tensor. */
  tolerance: number;
  /** The op is linear, and its gradient is compared with its forward pass, because tfjs's plain gradient is wrong. */
  isLinear: boolean;
  /** TensorFlow's kernel leaves the result in host memory, whatever the device. */
  isOnHost: boolean;
  /** A known difference between the two backends, which `run` therefore leaves out. */
  note?: string;
}

type Options = Partial<Omit<Row, 'name' | 'inputs' | 'run'>>;

/**
 * Both backends compute in float32, but add in different orders (tfjs's own uses float64 for sums). The longest sum in the
 * tables has some hundred terms, which costs about 1e-6.
 */
const TOLERANCE = 1e-5;

export const NO_GRADIENT = { hasGradient: false } as const;

export function row(name: string, inputs: InputOf[], run: Row['run'], options: Options = {}): Row {
  const usual = { hasGradient: true, isLinear: false, isOnHost: false, tolerance: TOLERANCE };
  return { ...usual, name, inputs: inputs.map((make, i) => make(i)), run, ...options };
}

/** Different, unsorted numbers between `low` and `high`: the fractions of multiples of the golden ratio. */
export function reals(shape: number[], low = -2, high = 2): InputOf {
  return (position) => {
    const values = Array.from({ length: size(shape) }, (_, i) => {
      const fraction = (i + 1 + 100 * position) * 0.6180339887498949;
      return low + (high - low) * (fraction - Math.floor(fraction));
    });
    return { shape, dtype: 'float32', values };
  };
}

export function integers(shape: number[], low = -9, high = 9): InputOf {
  return (position) => {
    const { values } = reals(shape, low, high)(position);
    return { shape, dtype: 'int32', values: (values as number[]).map(Math.round) };
  };
}

export function bools(shape: number[]): InputOf {
  return (position) => {
    const { values } = reals(shape)(position);
    return { shape, dtype: 'bool', values: (values as number[]).map((value) => (value > 0 ? 1 : 0)) };
  };
}

export function floatsOf(values: number[], shape: number[] = [values.length]): InputOf {
  return () => ({ shape, dtype: 'float32', values });
}

export function intsOf(values: number[], shape: number[] = [values.length]): InputOf {
  return () => ({ shape, dtype: 'int32', values });
}

export function stringsOf(values: string[], shape: number[] = [values.length]): InputOf {
  return () => ({ shape, dtype: 'string', values });
}

export function size(shape: readonly number[]): number {
  return shape.reduce((product, each) => product * each, 1);
}
