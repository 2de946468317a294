/** The rules of the warnings: functions from measured numbers to a warning or undefined. docs/warnings.md has the bounds. */
import type { EventOf, WarningKind } from '../log.js';
import { rateText } from '../optim/schedule.js';

export type Warning = EventOf<'warning'> & { kind: WarningKind };

/** Steps in the mean of losses, and of training accuracies. */
export const WINDOW = 50;
/** Steps in the mean by which a rise is found: losses that grow soon become infinite. */
export const SHORT_WINDOW = 10;

/** A loss is at chance if it is less than this share below ln(classes). */
const NEAR_CHANCE = 0.01;
/** Below this share of ln(classes), a net has begun to learn. */
export const LEARNT = 0.9;
/** A run shorter than the patience is judged at its end, if it has at least this many steps. */
const MIN_STEPS = 200;

/** What counts as a rise, as multiples: of the mean over {@link SHORT_WINDOW} steps, and of a single step. */
const RISE = { mean: 2, once: 10 };
/** The first steps may overshoot: `fashion` at full width had a mean of 6.1 at step 10, after 2.9. */
const SETTLED = 50;

/** In standard deviations: up to where an accuracy is still chance, and how far above it training has to be. */
const DEVIATIONS = { chance: 3, apart: 5 };

/** A run of fewer epochs has seen each image too rarely to be judged. */
const FEW_EPOCHS = 3;

/** Fewer images say too little about a layer. */
const MIN_IMAGES = 16;
/** Share of a layer's units that may be dead. */
const DEAD_SHARE = 0.95;
/** A deviation between images below this share of the values is rounding: float32 rounds by 6e-8, and sums by more. */
const ROUNDING = 1e-6;
/** The least deviation of the scores before the first step; nets that learnt began above 8e-5. */
const MIN_SCORE_DEVIATION = 3e-5;
/** The most that a layer's deviation may be, as a multiple of the images' deviation, or of 1 where that is less. */
const LARGE = 1000;

/** The loss of equal scores for all classes: ln(classes). */
export function chanceLoss(classes: number): number {
  return Math.log(classes);
}

/** The number of steps after which a net should have begun to learn. */
export function patienceOf(classes: number): number {
  return Math.max(1000, 5 * classes);
}

/** The state of a training, for the rules about its loss. */
export interface LossState {
  step: number;
  /** The run's length in steps. */
  steps: number;
  classes: number;
  /** The mean of the last {@link WINDOW} losses; undefined while there are fewer. */
  mean: number | undefined;
  /** The lowest such mean so far. */
  best: number;
  /** Training accuracy in those steps, and over how many images. */
  top1: number;
  images: number;
  learningRate: number;
}

/** The highest accuracy that guessing reaches, except in one case in 740. */
function guessing(classes: number, images: number): { bound: number; deviation: number } {
  const chance = 1 / classes;
  const deviation = Math.sqrt((chance * (1 - chance)) / images);
  return { bound: chance + DEVIATIONS.chance * deviation, deviation };
}

/** The loss is at chance long after the start, or at the end, or again after it was lower. */
export function lossAtChance(state: LossState): Warning | undefined {
  const { step, steps, classes, mean, best, top1, images, learningRate } = state;
  const chance = chanceLoss(classes);
  if (mean === undefined || !(mean >= (1 - NEAR_CHANCE) * chance)) return undefined;
  if (top1 > guessing(classes, images).bound) return undefined;
  const common = { event: 'warning', step, value: mean, bound: (1 - NEAR_CHANCE) * chance } as const;
  const where = `the mean loss of steps ${step - WINDOW + 1} to ${step} is ${mean.toFixed(4)}, and guessing gives ln(${classes}) = ${chance.toFixed(4)}`;
  if (best < LEARNT * chance) {
    const message = `the net has forgotten what it learnt: ${where}, after ${best.toFixed(4)} before; continue from an older checkpoint with a lower --lr (now ${rateText(learningRate)})`;
    return { ...common, kind: 'collapse', message };
  }
  if (step < patienceOf(classes) && !(step === steps && steps >= MIN_STEPS)) return undefined;
  const message = `the net has not begun to learn: ${where}; try another --lr (now ${rateText(learningRate)}) or other initial values (net.init), and check that the labels belong to their images and that mean and scale suit the net`;
  return { ...common, kind: 'no-learning', message };
}

/**
 * The loss is far above its start and above chance, and will soon be infinite.
 * @param losses the last ones, {@link SHORT_WINDOW} at most. @param first the run's first one.
 */
export function risingLoss(
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
  const message = `the loss rises: ${what} ${short(value)}, after ${short(first.loss)} in step ${first.step}, and guessing gives ln(${classes}) = ${chanceLoss(classes).toFixed(4)}; stop, and lower --lr (now ${rateText(learningRate)}) before the loss becomes infinite`;
  return { event: 'warning', kind: 'rising-loss', step, value, bound, message };
}

/** An evaluation, and the training accuracy before it. */
export interface Accuracies {
  step: number;
  classes: number;
  /** Test accuracy, and over how many images. */
  top1: number;
  images: number;
  /** The mean training accuracy of the last {@link WINDOW} steps, and how many those are. */
  training: number;
  steps: number;
}

/** Test images are classified no better than by guessing, while training images are. */
export function testAtChance({ step, classes, top1, images, training, steps }: Accuracies): Warning | undefined {
  const { bound, deviation } = guessing(classes, images);
  // Twice the bound; with few classes that may be above 1, so at most half way from the bound to 1.
  const learnt = Math.min(2 * bound, (1 + bound) / 2);
  const isApart = training >= learnt && training - top1 >= DEVIATIONS.apart * deviation;
  if (steps < SHORT_WINDOW || !(top1 <= bound) || !isApart) return undefined;
  const message = `test images are guessed while training images are not: top-1 ${top1.toFixed(4)} of ${images} test images, where guessing gives up to ${bound.toFixed(4)}, and ${training.toFixed(4)} in the last ${steps} steps; check that both sets have the same classes in the same order, and the same image preparation`;
  return { event: 'warning', kind: 'test-at-chance', step, value: top1, bound, message };
}

/** The last evaluation of a run, beside the share of the test images that are in the largest class. */
interface LastAccuracy {
  step: number;
  /** Epochs that the run has trained. */
  epochs: number;
  top1: number;
  images: number;
  majority: number | undefined;
}

/** At the end of a run, a net that always names the largest class would be right as often. */
export function belowMajority({ step, epochs, top1, images, majority }: LastAccuracy): Warning | undefined {
  if (majority === undefined || epochs < FEW_EPOCHS || !(top1 <= majority)) return undefined;
  const message = `the net is no better than one that always names the largest class: top-1 ${top1.toFixed(4)} of ${images} test images, ${majority.toFixed(4)} of which are in that class; train longer, try another --lr, or start from trained weights with --weights and --new-head`;
  return { event: 'warning', kind: 'below-majority', step, value: top1, bound: majority, message };
}

type Measured = EventOf<'activations'>;
type LayerValue = NonNullable<Warning['layers']>[number];

/** The warnings about a measurement of the layers. */
export function activationWarnings(measured: Measured): Warning[] {
  if (measured.images < MIN_IMAGES) return [];
  // Without any signal, the scores' signal is weak too: one warning is enough.
  const found = [noSignal(measured) ?? weakSignal(measured), deadUnits(measured), largeActivations(measured)];
  return found.filter((each) => each !== undefined);
}

/** Layers most of whose units are 0 for every image: no gradient reaches those any more. */
function deadUnits({ step, images, layers }: Measured): Warning | undefined {
  const found = layers.flatMap(({ layer, tower, units, dead = 0 }): LayerValue[] =>
    dead > DEAD_SHARE * units ? [{ layer, tower, value: dead / units }] : [],
  );
  if (found.length === 0) return undefined;
  const message = `most units are dead at step ${step}, 0 for each of ${images} test images: ${listed(found, percent)}; no gradient reaches a dead ReLU, so lower --lr, or choose other initial values (net.init)`;
  return { event: 'warning', kind: 'dead-units', step, bound: DEAD_SHARE, layers: found, message };
}

/** The first layer of each tower that has the same values for every image. */
function noSignal({ step, images, layers }: Measured): Warning | undefined {
  const isConstant = ({ signal, mean, sd }: Measured['layers'][number]) => signal <= ROUNDING * (Math.abs(mean) + sd);
  const found = [0, 1].flatMap((tower): LayerValue[] => {
    const first = layers.find((each) => each.tower === tower && isConstant(each));
    return first ? [{ layer: first.layer, tower, value: first.signal }] : [];
  });
  if (found.length === 0) return undefined;
  const next =
    step > 0
      ? 'the net can learn nothing through it any more; continue from an older checkpoint with a lower --lr'
      : 'try other initial values (net.init), and check that mean and scale suit the net';
  const message = `a layer has the same values for every image at step ${step}: the deviation between ${images} test images is ${listed(found, short)}, no more than rounding; ${next}`;
  return { event: 'warning', kind: 'no-signal', step, bound: ROUNDING, layers: found, message };
}

/** Before the first step: the scores hardly depend on the image. */
function weakSignal({ step, images, layers }: Measured): Warning | undefined {
  const [input, scores] = [layers[0], layers.at(-1)];
  if (step > 0 || !input || !scores) return undefined;
  const { layer, tower, signal: value } = scores;
  const bound = MIN_SCORE_DEVIATION;
  if (!(value < bound)) return undefined;
  const message = `the scores hardly depend on the image: the deviation between ${images} test images is ${short(input.signal)} in the net's input and ${short(value)} in ${layer}, expected ${bound} at least; try other initial values (net.init), ReLUs, or a larger data.scale`;
  return { event: 'warning', kind: 'weak-signal', step, value, bound, layers: [{ layer, tower, value }], message };
}

/** Layers whose values are far larger than the images', or not finite. */
function largeActivations({ step, layers }: Measured): Warning | undefined {
  const bound = LARGE * Math.max(1, layers[0]?.sd ?? Number.NaN);
  const found = layers.flatMap(({ layer, tower, sd }): LayerValue[] =>
    sd <= bound ? [] : [{ layer, tower, value: sd }],
  );
  if (found.length === 0) return undefined;
  const message = `activations are large at step ${step}: the standard deviation is ${listed(found, short)}, and ${short(layers[0]!.sd)} in the net's input, expected at most ${short(bound)}; lower --lr, or choose other initial values (net.init)`;
  return { event: 'warning', kind: 'large-activations', step, bound, layers: found, message };
}

function listed(layers: readonly LayerValue[], text: (value: number) => string): string {
  return layers.map(({ layer, tower, value }) => `${text(value)} in ${layer} of tower ${tower}`).join(', ');
}

function percent(value: number): string {
  return `${(100 * value).toFixed(0)} %`;
}

/** Four significant digits. */
function short(value: number): string {
  return Number.isFinite(value) ? String(Number(value.toPrecision(4))) : String(value);
}
