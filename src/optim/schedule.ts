/** How the learning rate goes over the epochs, and what each parameter gets of it. Epochs count from 1. */

/**
 * `steps` multiplies the rate by `factor` after each of the `epochs`. `plateau` multiplies it by `factor` each time that
 * `patience` epochs in a row were no better than the best one before them, down to `least` (paper §5).
 */
export type Schedule =
  | { readonly kind: 'constant' }
  | { readonly kind: 'steps'; readonly epochs: readonly number[]; readonly factor: number }
  | { readonly kind: 'plateau'; readonly factor: number; readonly patience: number; readonly least: number };

/**
 * A rate that leaves the schedule after the epoch `after` (0: from the start): `learningRate` times `factor`. With 0 the
 * parameters stay as they are, velocities too (the code of 2012: `Weights::update`). Of several that fit, the last counts.
 */
export interface OwnRate {
  /** A layer's name; without it every layer. */
  readonly layer?: string | undefined;
  /** Without it kernels and biases. */
  readonly role?: Role | undefined;
  readonly after: number;
  readonly factor: number;
}

export type Role = 'kernel' | 'bias';

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
  /** Parameters that do not go by the schedule, or not to its end. */
  readonly ownRates?: readonly OwnRate[] | undefined;
}

/** The validation error after an epoch, a share of the test images. */
export interface EpochError {
  readonly epoch: number;
  readonly error: number;
}

/** Where a run stands with its schedule, beside the epoch. */
export interface ScheduleState {
  /** Validation errors after epochs so far, in their order: all that a plateau depends on. */
  readonly errors?: readonly EpochError[];
  /** Where the schedule began; in the first epoch and with the whole rate where nothing says otherwise. */
  readonly start?: ScheduleStart | undefined;
}

/** Of a run that goes on with another rate or schedule: from which epoch on that counts, with `factor` times the rate. */
export interface ScheduleStart {
  readonly epoch: number;
  readonly factor: number;
}

/** The kernels' learning rate in an epoch. */
export function learningRateIn(
  epoch: number,
  { learningRate, schedule }: Pick<OptimizerOptions, 'learningRate' | 'schedule'>,
  { errors = [], start = { epoch: 1, factor: 1 } }: ScheduleState = {},
): number {
  const first = learningRate * start.factor;
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

/** How often `patience` epochs in a row were none below the least error before them. One that is NaN is none below. */
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

/** Which parameter. */
export interface Place {
  readonly layer: string;
  readonly role: Role;
}

/** When: the kernels' learning rate in the step, and its epoch. */
export interface Moment {
  readonly learningRate: number;
  readonly epoch: number;
}

/** What one parameter is updated with in a step. A learning rate of 0: it is not updated at all. */
export function ratesOf(
  { layer, role }: Place,
  moment: Moment,
  { learningRate, momentum, weightDecay, biasRateFactor, biasDecay, ownRates = [] }: Omit<OptimizerOptions, 'schedule'>,
): { learningRate: number; momentum: number; weightDecay: number } {
  const own = ownRates.findLast((each) => fits(each, { layer, role }) && each.after < moment.epoch);
  const scheduled = moment.learningRate * (role === 'bias' ? biasRateFactor : 1);
  return {
    learningRate: own ? learningRate * own.factor : scheduled,
    momentum,
    weightDecay: role === 'bias' ? biasDecay : weightDecay,
  };
}

/** A name that all parameters share which have the same rates in every step. */
export function rateClassOf(place: Place, { ownRates = [] }: Pick<OptimizerOptions, 'ownRates'>): string {
  const own = ownRates.flatMap((each, i) => (fits(each, place) ? [i] : []));
  return [place.role, ...own].join(' ');
}

function fits(own: OwnRate, { layer, role }: Place): boolean {
  return (own.layer ?? layer) === layer && (own.role ?? role) === role;
}
