/**
 * What a training is warned of: rules, each a function of numbers, to what there is to say or to nothing. The bounds and
 * why they are what they are: docs/warnings.md.
 */
import type { EventOf, WarningKind } from '../log.js';

/** A warning with what it goes by. */
export type Warning = EventOf<'warning'> & { kind: WarningKind };

/** Steps in a mean of losses, and of right answers in training. */
export const WINDOW = 50;
/** Steps in a mean that is looked at for a rise: numbers that grow are soon none. */
export const SHORT_WINDOW = 10;

/** How near to chance, as a share of its loss, a loss is that says nothing of the images. */
const NEAR_CHANCE = 0.01;
/** Below that share of chance's loss a net has begun to learn. */
export const BEGUN = 0.9;
/** A shorter run says at its end that it has not begun, from so many steps on. */
const SHORT_RUN = 200;

/** A rise: of the mean over {@link SHORT_WINDOW} steps, and of one step, as multiples. */
const RISE = { mean: 2, once: 10 };
/** The first steps may overshoot: `fashion` at its full width came to a mean of 6.1 in step 10, after 2.9. */
const SETTLED = 50;

/** Standard deviations from chance that are still chance, and how many of them training has to be above that. */
const DEVIATIONS = { chance: 3, apart: 5 };

/** Fewer images say too little of a unit or of a layer. */
const LEAST_IMAGES = 16;
/** Share of a layer's units that may be dead. */
const DEAD_SHARE = 0.95;
/** A deviation between images of that share of the values is their rounding: float32 has 6e-8 of it, sums have more. */
const ROUNDING = 1e-6;
/** The least deviation of scores between images before the first step; those of nets that learnt began above 8e-5. */
const WEAK = 3e-5;
/** How many times the images' deviation, or 1 where that is less, a layer's may be. */
const LARGE = 1000;

/** Mean cross-entropy of scores that say nothing: ln(classes). */
export function chanceLoss(classes: number): number {
  return Math.log(classes);
}

/** After how many steps a net is expected to have begun. */
export function patienceOf(classes: number): number {
  return Math.max(1000, 5 * classes);
}

/** Where a training stands, for the rules about its loss. */
export interface LossState {
  step: number;
  /** The run's length in steps. */
  steps: number;
  classes: number;
  /** The mean of the last {@link WINDOW} losses; undefined while there are fewer. */
  mean: number | undefined;
  /** The least such mean until now. */
  best: number;
  /** Share of right answers in those steps, and of how many images. */
  top1: number;
  images: number;
  learningRate: number;
}

/** The most right answers that guessing gives among so many images, as a share, but for one case in 740. */
function guessed(classes: number, images: number): { bound: number; deviation: number } {
  const chance = 1 / classes;
  const deviation = Math.sqrt((chance * (1 - chance)) / images);
  return { bound: chance + DEVIATIONS.chance * deviation, deviation };
}

/** The loss is where guessing has it, long after the start or at the end; or is there again after it was lower. */
export function lossAtChance(state: LossState): Warning | undefined {
  const { step, steps, classes, mean, best, top1, images, learningRate } = state;
  const chance = chanceLoss(classes);
  if (mean === undefined || !(mean >= (1 - NEAR_CHANCE) * chance)) return undefined;
  if (top1 > guessed(classes, images).bound) return undefined;
  const common = { event: 'warning', step, value: mean, bound: (1 - NEAR_CHANCE) * chance } as const;
  const where = `the mean loss of steps ${step - WINDOW + 1} to ${step} is ${mean.toFixed(4)}, and ln(${classes}), that of guessing, is ${chance.toFixed(4)}`;
  if (best < BEGUN * chance) {
    const message = `the net has unlearnt what it knew: ${where}, after ${best.toFixed(4)} before; go on from an older checkpoint with a lower --lr (now ${learningRate})`;
    return { ...common, kind: 'collapse', message };
  }
  if (step < patienceOf(classes) && !(step === steps && steps >= SHORT_RUN)) return undefined;
  const message = `the net has not begun to learn: ${where}; try another --lr (now ${learningRate}) or other initial values (net.init), and see whether labels belong to their images and whether mean and scale suit the net`;
  return { ...common, kind: 'no-learning', message };
}

/**
 * The loss is far above its start and above chance, so that it will soon be no number.
 * @param losses the last ones, {@link SHORT_WINDOW} at most.
 * @param first the run's first one.
 */
export function risenLoss(
  losses: readonly number[],
  first: { step: number; loss: number },
  { step, classes, learningRate }: Pick<LossState, 'step' | 'classes' | 'learningRate'>,
): Warning | undefined {
  const from = Math.max(chanceLoss(classes), first.loss);
  const last = losses.at(-1)!;
  const mean = losses.reduce((sum, each) => sum + each, 0) / losses.length;
  const once = last > RISE.once * from;
  const isSettled = step > SETTLED && losses.length === SHORT_WINDOW;
  if (!once && !(isSettled && mean > RISE.mean * from)) return undefined;
  const what = once ? `the loss of step ${step} is` : `the mean loss of the last ${SHORT_WINDOW} steps to ${step} is`;
  const [value, bound] = once ? [last, RISE.once * from] : [mean, RISE.mean * from];
  const message = `the loss rises: ${what} ${short(value)}, after ${short(first.loss)} in step ${first.step}, and ln(${classes}), that of guessing, is ${chanceLoss(classes).toFixed(4)}; stop and take a lower --lr (now ${learningRate}) before numbers become too large`;
  return { event: 'warning', kind: 'rising-loss', step, value, bound, message };
}

/** An evaluation, and how training did before it. */
export interface Accuracies {
  step: number;
  classes: number;
  /** Share of right answers among so many test images. */
  top1: number;
  images: number;
  /** The mean over the last {@link WINDOW} steps, of which there are so many. */
  training: number;
  steps: number;
}

/** Test images are guessed, within what chance makes of so many of them, and training images are not. */
export function testAtChance({ step, classes, top1, images, training, steps }: Accuracies): Warning | undefined {
  const { bound, deviation } = guessed(classes, images);
  // Twice the bound; of few classes, where that is more than there is, half of what is above it.
  const learnt = Math.min(2 * bound, (1 + bound) / 2);
  const isApart = training >= learnt && training - top1 >= DEVIATIONS.apart * deviation;
  if (steps < SHORT_WINDOW || !(top1 <= bound) || !isApart) return undefined;
  const message = `test images are guessed while training images are not: top-1 ${top1.toFixed(4)} of ${images} test images, where guessing gives up to ${bound.toFixed(4)}, and ${training.toFixed(4)} in the last ${steps} steps; see whether both sets have the same classes in the same order, and the same preparation of their images`;
  return { event: 'warning', kind: 'test-at-chance', step, value: top1, bound, message };
}

type Measured = EventOf<'activations'>;
type LayerValue = NonNullable<Warning['layers']>[number];

/** What there is to say of the layers; of few images nothing. */
export function aboutLayers(measured: Measured): Warning[] {
  if (measured.images < LEAST_IMAGES) return [];
  // Where no signal is, it is weak too.
  const found = [noSignal(measured) ?? weakSignal(measured), deadUnits(measured), largeActivations(measured)];
  return found.filter((each) => each !== undefined);
}

/** Layers most of whose units are 0 for every image: no gradient comes to them any more. */
function deadUnits({ step, images, layers }: Measured): Warning | undefined {
  const found = layers.flatMap(({ layer, tower, units, dead = 0 }): LayerValue[] =>
    dead > DEAD_SHARE * units ? [{ layer, tower, value: dead / units }] : [],
  );
  if (found.length === 0) return undefined;
  const message = `most units are dead at step ${step}, 0 for each of ${images} test images: ${listed(found, percent)}; no gradient reaches a dead ReLU, so take a lower --lr, or other initial values (net.init)`;
  return { event: 'warning', kind: 'dead-units', step, bound: DEAD_SHARE, layers: found, message };
}

/** The first layer of each tower that makes the same of every image. */
function noSignal({ step, images, layers }: Measured): Warning | undefined {
  const isBlind = ({ signal, mean, sd }: Measured['layers'][number]) => signal <= ROUNDING * (Math.abs(mean) + sd);
  const found = [0, 1].flatMap((tower): LayerValue[] => {
    const first = layers.find((each) => each.tower === tower && isBlind(each));
    return first ? [{ layer: first.layer, tower, value: first.signal }] : [];
  });
  if (found.length === 0) return undefined;
  const what = `a layer makes the same of every image at step ${step}: the deviation between ${images} test images is ${listed(found, short)}, no more than rounding`;
  const next =
    step > 0
      ? 'nothing can be learnt through it any more; go on from an older checkpoint with a lower --lr'
      : 'try other initial values (net.init), and see whether mean and scale suit the net';
  const message = `${what}; ${next}`;
  return { event: 'warning', kind: 'no-signal', step, bound: ROUNDING, layers: found, message };
}

/** Before the first step: next to nothing of what tells images apart gets to the scores. */
function weakSignal({ step, images, layers }: Measured): Warning | undefined {
  const [input, scores] = [layers[0], layers.at(-1)];
  if (step > 0 || !input || !scores) return undefined;
  const { layer, tower, signal: value } = scores;
  if (!(value < WEAK)) return undefined;
  const message = `hardly anything of the images gets to the scores: the deviation between ${images} test images is ${short(input.signal)} in what the net reads and ${short(value)} in ${layer}, expected ${WEAK} at least; try other initial values (net.init), ReLUs, or a larger data.scale`;
  return {
    event: 'warning',
    kind: 'weak-signal',
    step,
    value,
    bound: WEAK,
    layers: [{ layer, tower, value }],
    message,
  };
}

/** Layers whose values are far larger than the images', or no numbers. */
function largeActivations({ step, layers }: Measured): Warning | undefined {
  const bound = LARGE * Math.max(1, layers[0]?.sd ?? Number.NaN);
  const found = layers.flatMap(({ layer, tower, sd }): LayerValue[] =>
    sd <= bound ? [] : [{ layer, tower, value: sd }],
  );
  if (found.length === 0) return undefined;
  const message = `activations are large at step ${step}: the standard deviation is ${listed(found, short)}, and ${short(layers[0]!.sd)} in what the net reads, expected at most ${short(bound)}; take a lower --lr, or other initial values (net.init)`;
  return { event: 'warning', kind: 'large-activations', step, bound, layers: found, message };
}

function listed(layers: readonly LayerValue[], text: (value: number) => string): string {
  return layers.map(({ layer, tower, value }) => `${text(value)} in ${layer} of tower ${tower}`).join(', ');
}

function percent(value: number): string {
  return `${(100 * value).toFixed(0)} %`;
}

/** Four digits, whatever the size. */
function short(value: number): string {
  return Number.isFinite(value) ? String(Number(value.toPrecision(4))) : String(value);
}
