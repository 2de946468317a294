/** How the learning rate goes over the epochs, and what each kind of parameter gets of it. */

/** `steps` multiplies the rate by `factor` after each of the `epochs`, which count from 1. */
export type Schedule =
  | { readonly kind: 'constant' }
  | { readonly kind: 'steps'; readonly epochs: readonly number[]; readonly factor: number };

/** Gradient descent with momentum and weight decay, and the rates of biases (paper §5; the code's layer-params). */
export interface OptimizerOptions {
  readonly learningRate: number;
  readonly momentum: number;
  readonly weightDecay: number;
  /** The biases' learning rate is the kernels' times this. */
  readonly biasRateFactor: number;
  /** The biases' weight decay. */
  readonly biasDecay: number;
  readonly schedule: Schedule;
}

/** The kernels' learning rate in an epoch, which counts from 1. */
export function learningRateIn(epoch: number, { learningRate, schedule }: OptimizerOptions): number {
  if (schedule.kind === 'constant') return learningRate;
  const drops = schedule.epochs.filter((each) => each < epoch).length;
  return learningRate * schedule.factor ** drops;
}

/**
 * What one kind of parameter is updated with.
 * @param learningRate the kernels', in this step.
 */
export function ratesOf(
  role: 'kernel' | 'bias',
  learningRate: number,
  { momentum, weightDecay, biasRateFactor, biasDecay }: Omit<OptimizerOptions, 'schedule' | 'learningRate'>,
): { learningRate: number; momentum: number; weightDecay: number } {
  if (role === 'kernel') return { learningRate, momentum, weightDecay };
  return { learningRate: learningRate * biasRateFactor, momentum, weightDecay: biasDecay };
}
