/** The trainings of docs/tutorial.md. */
import { type EpochRow, epochsOf } from '../bench/runs.js';
import { type Found, measureSets } from './claims.js';
import type { Maker } from './tools/figure.js';
import { markdownTable, percent } from './tools/markdown.js';

const LENET = 'npm run train:split -- --preset lenet --data embedded --batch-size 32';

export const tutorialLenet: Maker<{ epochs: EpochRow[] }> = {
  name: 'tutorial-lenet',
  minutes: 0.5,
  commands: [LENET],
  async measure({ train }) {
    return { epochs: epochsOf(await train(LENET, 'lenet')) };
  },
  blocks: {
    'tutorial-lenet'({ epochs }) {
      const found = epochs.findIndex(({ testTop1 }) => testTop1! > 0.15);
      const atChance = found < 0 ? epochs.length : found;
      const later = epochs.slice(atChance).map(({ testTop1 }) => testTop1!.toFixed(2));
      const start = `LeNet trains for ${epochs.length} epochs.`;
      const chance =
        atChance === 0
          ? ''
          : ` In the first ${atChance} its test accuracy is ${epochs[0]!.testTop1!.toFixed(2)}, which is chance, and its loss is ${epochs[0]!.trainLoss.toFixed(2)}; ln 10 is 2.30.`;
      const rest = later.length === 0 ? '' : ` Then the accuracy is ${later.join(', ')}.`;
      return `${start}${chance}${rest} The gradient of a sigmoid is at most a quarter, and almost 0 where it saturates; each layer multiplies by one more such factor. In the deeper net nothing is learned at all:`;
    },
  },
};

const SIGMOID =
  'npm run ablate -- --preset tutorial --data embedded --width 0.125 --batch-size 32 --epochs 3 --variants sigmoid --seeds 1-3';

export const tutorialSigmoid: Maker<Found> = {
  name: 'tutorial-sigmoid',
  minutes: 8,
  commands: [SIGMOID],
  measure: (runner) => measureSets(runner, 'tutorial-sigmoid', [SIGMOID]),
  blocks: {
    'tutorial-sigmoid'({ halves }) {
      const { seeds, statistics } = halves[0]!;
      const cells = statistics.variants.map(({ variant, measures: { top1Error } }) => [
        variant,
        `${percent(top1Error!.mean, 1)} (${(100 * (top1Error!.sd ?? 0)).toFixed(1)} points)`,
      ]);
      const right = (variant: 0 | 1) => percent(1 - statistics.variants[variant]!.measures.top1Error!.mean);
      return [
        markdownTable(
          ['variant', `test error after 3 epochs, mean of ${seeds.length} seeds (standard deviation)`],
          cells,
        ),
        '',
        `A pair of trainings has the same initial values and the same batches. With ReLU ${right(0)} of the test images are right, with sigmoid ${right(1)}. The gradient of ReLU is 1 for every active unit.`,
      ].join('\n');
    },
  },
};
