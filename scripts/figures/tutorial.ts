/** The trainings of docs/tutorial.md. */
import { type EpochRow, epochsOf } from '../bench/runs.js';
import type { Maker } from './tools/figure.js';
import { markdownTable, percent, signed } from './tools/markdown.js';
import { of } from './tools/runner.js';

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

/** A training of an ablation. */
interface Trained {
  variant: string;
  parameters: number;
  /** Of the test set, after the last epoch. */
  testTop1: number;
  /** Mean over the last epoch. */
  trainTop1: number;
  steps: number;
}

/** Makes a figure of an ablation's runs. */
function ablation(
  { name, command, minutes, variants }: { name: string; command: string; minutes: number; variants: readonly string[] },
  block: (rows: readonly Trained[]) => string,
): Maker<{ rows: Trained[] }> {
  return {
    ...{ name, minutes, commands: [command] },
    async measure({ ablate }) {
      const { events } = await ablate(command, name);
      const rows = variants.map((variant) => {
        const log = events(variant);
        const last = epochsOf(log).at(-1)!;
        const [start, end] = [of(log, 'run_start').at(-1)!, of(log, 'run_end').at(-1)!];
        return {
          ...{ variant, parameters: start.parameters, steps: end.steps },
          ...{ testTop1: last.testTop1!, trainTop1: last.trainTop1 },
        };
      });
      return { rows };
    },
    blocks: { [name]: ({ rows }) => block(rows) },
  };
}

export const tutorialSigmoid = ablation(
  {
    name: 'tutorial-sigmoid',
    command:
      'npm run ablate -- --preset tutorial --data embedded --width 0.125 --batch-size 32 --epochs 3 --variants sigmoid,no-dropout',
    minutes: 4,
    variants: ['baseline', 'sigmoid', 'no-dropout'],
  },
  (rows) => {
    const cells = rows.map(({ variant, testTop1 }) => [variant, percent(1 - testTop1, 1)]);
    const right = (name: string) => percent(rows.find(({ variant }) => variant === name)!.testTop1);
    return [
      markdownTable(['variant', 'test error after 3 epochs'], cells),
      '',
      `All have the same initial values and the same ${rows[0]!.steps} batches. With ReLU ${right('baseline')} of the test images are right, with sigmoid ${right('sigmoid')}. The gradient of ReLU is 1 for every active unit.`,
    ].join('\n');
  },
);

export const tutorialOverfitting = ablation(
  {
    name: 'tutorial-overfitting',
    command: 'npm run ablate -- --preset mini --data embedded --epochs 15 --variants no-dropout,no-augmentation',
    minutes: 4,
    variants: ['baseline', 'no-dropout', 'no-augmentation'],
  },
  (rows) => {
    const gap = ({ testTop1, trainTop1 }: Trained) => 100 * (trainTop1 - testTop1);
    const cells = rows.map((row) => [
      ...[row.variant, row.testTop1.toFixed(3), row.trainTop1.toFixed(3)],
      signed(gap(row)),
    ]);
    const header = ['variant', 'test accuracy', 'training accuracy, last epoch', 'difference, points'];
    return markdownTable(header, cells);
  },
);
