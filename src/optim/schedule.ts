/**
 * The learning rate over the epochs, and what each parameter gets of it (paper §5; the code's `layer-params-145.cfg`).
 * Epochs count from 1.
 */

/**
 * `steps` multiplies the rate by `factor` after each of the `epochs`. `plateau` multiplies it by `factor` whenever
 * `patience` epochs in a row had no lower error than the best epoch before them, down to `least`.
 *
 * The others change the rate at every step, over the whole length of the run. `cosine` and `linear` fall from the rate
 * towards `least`, as PyTorch's `CosineAnnealingLR` and `LinearLR` do: I. Loshchilov and F. Hutter, "SGDR: Stochastic Gradient
 * Descent with Warm Restarts" (2017), equation 5. `one-cycle` rises from the rate divided by `divide` to the rate, in the
 * share `rise` of the run, and falls to the first rate divided by `finalDivide`, both along a cosine, as PyTorch's `OneCycleLR`
 * does with its default `anneal_strategy` and without its cycle of the momentum: L. Smith and N. Topin, "Super-Convergence" (2018).
 */
export type Schedule =
  | { readonly kind: 'constant' }
  | { readonly kind: 'steps'; readonly epochs: readonly number[]; readonly factor: number }
  | { readonly kind: 'plateau'; readonly factor: number; readonly patience: number; readonly least: number }
  | { readonly kind: 'cosine' | 'linear'; readonly least: number }
  | { readonly kind: 'one-cycle'; readonly rise: number; readonly divide: number; readonly finalDivide: number };

/** Whether the rate changes at every step, and depends on the length of the run. */
export function isSmooth({ kind }: Pick<Schedule, 'kind'>): boolean {
  return kind === 'cosine' || kind === 'linear' || kind === 'one-cycle';
}

/** The share of the rate with which a warm-up begins: `--lr-warmup-decay` of torchvision's reference training. */
export const WARMUP_FROM = 0.01;

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
  /** Multiplies every rate of the last layer, which fine-tuning draws anew. */
  readonly headRate?: number | undefined;
  /** The layers that are frozen: their parameters keep their bits, without an update or a decay. */
  readonly freeze?: readonly string[] | undefined;
  /**
   * A number multiplies {@link learningRate}, because the batch is as many times as large: by K if K replicas train with a
   * batch each. The linear scaling rule of P. Goyal et al., "Accurate, Large Minibatch SGD: Training ImageNet in 1 Hour"
   * (2017), section 2.1. A. Krizhevsky, "One weird trick for parallelizing convolutional neural networks" (2014),
   * says that theory suggests √K, and that K worked best for him.
   */
  readonly linearScaling?: number | boolean | undefined;
  /**
   * The epochs, or a fraction of one, in which the rate rises, step by step and linearly, as PyTorch's `LinearLR` does. It
   * leaves out parameters with a rate of their own. `one-cycle`, which rises by itself, has none.
   */
  readonly warmupEpochs?: number | undefined;
  /**
   * The share of the rate with which the warm-up begins. If absent, it begins with the rate without {@link linearScaling}: the
   * gradual warm-up of Goyal et al., section 2.2.
   */
  readonly warmupFrom?: number | undefined;
}

/** Error on the validation images after an epoch, from 0 to 1. */
export type EpochError = { readonly epoch: number; readonly error: number };

/**
 * If a run is resumed with another rate or schedule, the schedule starts at `epoch`, with `factor` times the rate. With
 * `warmup`, the warm-up starts there too. `step` is the last step before, if it matters: otherwise what changes at
 * every step starts with the first step of `epoch`.
 */
export type ScheduleStart = {
  readonly epoch: number;
  readonly factor: number;
  readonly warmup?: boolean | undefined;
  readonly step?: number | undefined;
};

/** What the schedule depends on besides the epoch. */
export interface ScheduleState {
  /** Validation errors so far, in the order of the epochs; only a plateau uses them. */
  readonly errors?: readonly EpochError[];
  readonly start?: ScheduleStart | undefined;
}

/** What the rate depends on. */
type RateOptions = Pick<
  OptimizerOptions,
  'learningRate' | 'linearScaling' | 'schedule' | 'warmupEpochs' | 'warmupFrom'
>;

/** A step, from 1, of a run of so many steps. */
export interface Moment {
  readonly step: number;
  readonly steps: number;
  readonly batchesPerEpoch: number;
}

/** The factor of `linearScaling` on the learning rate. */
export function scalingOf({ linearScaling }: Pick<OptimizerOptions, 'linearScaling'>): number {
  return typeof linearScaling === 'number' ? linearScaling : 1;
}

/** The learning rate of kernels in a step: that of the schedule, and the warm-up. */
export function learningRateAt(moment: Moment, optimizer: RateOptions, state: ScheduleState = {}): number {
  const rate = scheduledRate(moment, optimizer, state);
  const { first, length } = warmupOf(moment, optimizer, state);
  const done = (moment.step - 1 - first) / length;
  if (length === 0 || done >= 1) return rate;
  if (optimizer.warmupFrom !== undefined) return rate * (optimizer.warmupFrom + (1 - optimizer.warmupFrom) * done);
  const scaling = scalingOf(optimizer);
  return (rate / scaling) * (1 + (scaling - 1) * done);
}

/** A rate for people, to six digits. */
export function rateText(rate: number): string {
  return String(Number(rate.toPrecision(6)));
}

/** The steps of the warm-up, which may be a fraction, and how many steps come before it. */
function warmupOf({ batchesPerEpoch }: Moment, { schedule, warmupEpochs = 0 }: RateOptions, { start }: ScheduleState) {
  const first = start?.warmup ? stepsBefore(start, batchesPerEpoch) : 0;
  return { first, length: schedule.kind === 'one-cycle' ? 0 : warmupEpochs * batchesPerEpoch };
}

function stepsBefore({ epoch, step }: ScheduleStart, batchesPerEpoch: number): number {
  return step ?? (epoch - 1) * batchesPerEpoch;
}

/** The learning rate of kernels in a step without the warm-up: that which it rises to, or will have risen to. */
export function scheduledRate(moment: Moment, optimizer: RateOptions, state: ScheduleState = {}): number {
  const { schedule } = optimizer;
  const { errors = [], start = { epoch: 1, factor: 1 } } = state;
  const epoch = Math.ceil(moment.step / moment.batchesPerEpoch);
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
    case 'cosine':
    case 'linear': {
      const { done, length } = smoothSteps(moment, optimizer, state);
      const share = length > 0 ? Math.min(1, done / length) : 0;
      const least = Math.min(schedule.least, first);
      return schedule.kind === 'cosine' ? alongCosine(first, least, share) : first + (least - first) * share;
    }
    case 'one-cycle': {
      const { done, length } = smoothSteps(moment, optimizer, state);
      const top = schedule.rise * length - 1;
      const from = first / schedule.divide;
      if (done <= top && top > 0) return alongCosine(from, first, done / top);
      const share = length > 0 ? Math.min(1, (done - top) / (length - 1 - top)) : 1;
      return alongCosine(first, from / schedule.finalDivide, share);
    }
  }
}

/** The steps of a smooth schedule, which begins after the warm-up and ends with the run, and how many are done before this one. */
function smoothSteps(moment: Moment, optimizer: RateOptions, state: ScheduleState): { done: number; length: number } {
  const warmup = warmupOf(moment, optimizer, state);
  const start = state.start ? stepsBefore(state.start, moment.batchesPerEpoch) : 0;
  const first = Math.max(start, Math.ceil(warmup.first + warmup.length));
  return { done: Math.max(0, moment.step - 1 - first), length: moment.steps - first };
}

/** From one rate to another, for a share from 0 to 1, along half a period of a cosine. */
function alongCosine(from: number, to: number, share: number): number {
  return to + ((from - to) / 2) * (1 + Math.cos(Math.PI * share));
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

/** Says which parameter. `isHead`: it is the last layer's. */
type Place = { readonly layer: string; readonly role: Role; readonly isHead?: boolean };

/** Whether a layer is frozen, so that its gradients need not be computed. */
export function isFrozen(layer: string, { freeze = [] }: Pick<OptimizerOptions, 'freeze'>): boolean {
  return freeze.includes(layer);
}

/**
 * What a parameter is updated with in a step. If the learning rate is 0, it is not updated at all.
 * @param moment the kernels' learning rate in this step, and the epoch.
 */
export function ratesOf(
  place: Place,
  moment: { readonly learningRate: number; readonly epoch: number },
  options: Omit<OptimizerOptions, 'schedule'>,
): { learningRate: number; momentum: number; weightDecay: number } {
  const { momentum, weightDecay, biasRateFactor, biasDecay, ownRates = [], headRate } = options;
  const learningRate = options.learningRate * scalingOf(options);
  const own = ownRates.findLast((each) => matches(each, place) && each.after < moment.epoch);
  const isBias = place.role === 'bias';
  const rate = own ? learningRate * own.factor : moment.learningRate * (isBias ? biasRateFactor : 1);
  return {
    learningRate: place.isHead && headRate !== undefined ? rate * headRate : rate,
    momentum,
    weightDecay: isBias ? biasDecay : weightDecay,
  };
}

/** Returns the same name for all parameters that have the same rates in every step. */
export function rateClassOf(
  place: Place,
  { ownRates = [], headRate }: Pick<OptimizerOptions, 'ownRates' | 'headRate'>,
): string {
  const own = ownRates.flatMap((each, i) => (matches(each, place) ? [i] : []));
  return [place.role, ...(place.isHead && headRate !== undefined ? ['head'] : []), ...own].join(' ');
}

function matches(own: OwnRate, { layer, role }: Place): boolean {
  return (own.layer ?? layer) === layer && (own.role ?? role) === role;
}
