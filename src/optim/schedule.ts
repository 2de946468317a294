/**
 * The learning rate over the epochs, and what each parameter gets of it (paper §5; the code's `layer-params-145.cfg`).
 * Epochs count from 1.
 */

/**
 * `steps` multiplies the rate by `factor` after each of the `epochs`. `plateau` multiplies it by `factor` whenever
 * `patience` epochs in a row had no lower error than the best epoch before them, down to `least`.
 */
export type Schedule =
  | { readonly kind: 'constant' }
  | { readonly kind: 'steps'; readonly epochs: readonly number[]; readonly factor: number }
  | { readonly kind: 'plateau'; readonly factor: number; readonly patience: number; readonly least: number };

export type Role = 'kernel' | 'bias';

/**
 * Takes parameters out of the schedule after an epoch. If their rate is 0, they do not change, nor do their velocities (as
 * in the code's `Weights::update`). If several entries match, the last one counts.
 */
export interface OwnRate {
  /** A layer's name; default all layers. */
  readonly layer?: string | undefined;
  /** Default both roles. */
  readonly role?: Role | undefined;
  /** The last epoch of the schedule; 0: none of it. */
  readonly after: number;
  /** Multiplies {@link OptimizerOptions.learningRate}. */
  readonly factor: number;
}

/** Gradient descent with momentum and weight decay. */
export interface OptimizerOptions {
  readonly learningRate: number;
  readonly momentum: number;
  readonly weightDecay: number;
  /** The learning rate of biases is that of kernels times this. */
  readonly biasRateFactor: number;
  /** Weight decay of biases. */
  readonly biasDecay: number;
  readonly schedule: Schedule;
  readonly ownRates?: readonly OwnRate[] | undefined;
  /**
   * A number multiplies {@link learningRate}, because the batch is as many times as large: by K if K replicas train with a
   * batch each. The linear scaling rule of P. Goyal et al., "Accurate, Large Minibatch SGD: Training ImageNet in 1 Hour"
   * (2017), section 2.1. A. Krizhevsky, "One weird trick for parallelizing convolutional neural networks" (2014),
   * says that theory suggests √K, and that K worked best for him.
   */
  readonly linearScaling?: number | boolean | undefined;
  /**
   * The epochs in which the rate rises, step by step and linearly, from the rate without {@link linearScaling} to the one
   * with it: the gradual warm-up of Goyal et al., section 2.2. It leaves out parameters with a rate of their own.
   */
  readonly warmupEpochs?: number | undefined;
}

/** Error on the validation images after an epoch, from 0 to 1. */
export type EpochError = { readonly epoch: number; readonly error: number };

/**
 * If a run is resumed with another rate or schedule, the schedule starts at `epoch`, with `factor` times the rate. If the
 * rate is another one, the warm-up starts there too.
 */
export type ScheduleStart = {
  readonly epoch: number;
  readonly factor: number;
  readonly warmup?: boolean | undefined;
};

/** What the schedule depends on besides the epoch. */
export interface ScheduleState {
  /** Validation errors so far, in the order of the epochs; only a plateau uses them. */
  readonly errors?: readonly EpochError[];
  readonly start?: ScheduleStart | undefined;
}

/** What the rate of an epoch depends on. */
type RateOptions = Pick<OptimizerOptions, 'learningRate' | 'linearScaling' | 'schedule'>;

/** The factor of `linearScaling` on the learning rate. */
export function scalingOf({ linearScaling }: Pick<OptimizerOptions, 'linearScaling'>): number {
  return typeof linearScaling === 'number' ? linearScaling : 1;
}

/** The learning rate of kernels in a step, from 1, of an epoch of so many steps: that of the epoch, and the warm-up. */
export function learningRateAt(
  { step, batchesPerEpoch }: { readonly step: number; readonly batchesPerEpoch: number },
  optimizer: RateOptions & Pick<OptimizerOptions, 'warmupEpochs'>,
  state: ScheduleState = {},
): number {
  const rate = learningRateIn(Math.ceil(step / batchesPerEpoch), optimizer, state);
  const { warmupEpochs = 0 } = optimizer;
  const first = state.start?.warmup ? (state.start.epoch - 1) * batchesPerEpoch : 0;
  const done = (step - 1 - first) / (warmupEpochs * batchesPerEpoch);
  if (warmupEpochs === 0 || done >= 1) return rate;
  const scaling = scalingOf(optimizer);
  return (rate / scaling) * (1 + (scaling - 1) * done);
}

/** The learning rate of kernels in an epoch, after the warm-up. */
export function learningRateIn(
  epoch: number,
  { schedule, ...optimizer }: RateOptions,
  { errors = [], start = { epoch: 1, factor: 1 } }: ScheduleState = {},
): number {
  const first = optimizer.learningRate * scalingOf(optimizer) * start.factor;
  switch (schedule.kind) {
    case 'constant':
      return first;
    case 'steps':
      return first * schedule.factor ** schedule.epochs.filter((each) => start.epoch <= each && each < epoch).length;
    case 'plateau':
      return Math.max(
        Math.min(schedule.least, first),
        first * schedule.factor ** plateausIn(errors, schedule.patience),
      );
  }
}

/** How many times `patience` epochs in a row had no lower error than the best before them. NaN is not lower. */
export function plateausIn(errors: readonly EpochError[], patience: number): number {
  let best = Number.POSITIVE_INFINITY;
  let since = (errors[0]?.epoch ?? 1) - 1;
  let plateaus = 0;
  for (const { epoch, error } of errors) {
    if (error < best) {
      best = error;
      since = epoch;
    } else if (epoch - since >= patience) {
      plateaus++;
      since = epoch;
    }
  }
  return plateaus;
}

/** Says which parameter. */
type Place = { readonly layer: string; readonly role: Role };

/**
 * What a parameter is updated with in a step. If the learning rate is 0, it is not updated at all.
 * @param moment the kernels' learning rate in this step, and the epoch.
 */
export function ratesOf(
  place: Place,
  moment: { readonly learningRate: number; readonly epoch: number },
  { momentum, weightDecay, biasRateFactor, biasDecay, ownRates = [], ...optimizer }: Omit<OptimizerOptions, 'schedule'>,
): { learningRate: number; momentum: number; weightDecay: number } {
  const learningRate = optimizer.learningRate * scalingOf(optimizer);
  const own = ownRates.findLast((each) => matches(each, place) && each.after < moment.epoch);
  const isBias = place.role === 'bias';
  return {
    learningRate: own ? learningRate * own.factor : moment.learningRate * (isBias ? biasRateFactor : 1),
    momentum,
    weightDecay: isBias ? biasDecay : weightDecay,
  };
}

/** Returns the same name for all parameters that have the same rates in every step. */
export function rateClassOf(place: Place, { ownRates = [] }: Pick<OptimizerOptions, 'ownRates'>): string {
  const own = ownRates.flatMap((each, i) => (matches(each, place) ? [i] : []));
  return [place.role, ...own].join(' ');
}

function matches(own: OwnRate, { layer, role }: Place): boolean {
  return (own.layer ?? layer) === layer && (own.role ?? role) === role;
}
