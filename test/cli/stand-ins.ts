/** Stand-ins for what the commands use from outside. */

import type { Output } from '../../src/cli/output.js';
import type { Replaced, TrainModule } from '../../src/cli/services.js';
import { main } from '../../src/cli.js';
import type { Config } from '../../src/config/config.js';
import type { Device } from '../../src/native/c/context.js';
import type { Scores, SpeedRounds, TrainUi } from '../../src/train/index.js';
import { CHECK, EVAL, RUN_END, RUN_START, trainStep } from '../events.js';

/** Keeps what is written. */
export class Screen implements Output {
  text = '';
  constructor(readonly isTTY = false) {}
  write(text: string): boolean {
    this.text += text;
    return true;
  }
  get lines(): string[] {
    return this.text.split('\n').slice(0, -1);
  }
}

/** What a command did. */
export interface Outcome {
  exitCode: number;
  stdout: Screen;
  stderr: Screen;
}

export const DEVICES = ['CPU:0', 'CPU:1'].map(
  (name): Device => ({
    name,
    fullName: `/job:localhost/replica:0/task:0/device:${name}`,
    type: 'CPU',
    memory: 'host',
    memoryBytes: 256 * 2 ** 20,
  }),
);

/** A stand-in for `src/train/index.js` with these functions; the others throw. */
export function trainModule(functions: Partial<TrainModule>): () => Promise<TrainModule> {
  const absent = (name: string) => () => Promise.reject(new Error(`${name}() was not to be called`));
  return async () => ({
    train: absent('train'),
    verify: absent('verify'),
    verifyGolden: absent('verifyGolden'),
    evaluateRun: absent('evaluateRun'),
    predictFiles: absent('predictFiles'),
    compareSpeeds: absent('compareSpeeds'),
    ...functions,
  });
}

/** What an evaluation returns. */
export const SCORES: Scores = { images: 1000, loss: 0.4, top1: 0.9, top5: 1 };

/** Rounds of two nets, the second of which is as fast. */
export const SPEEDS: SpeedRounds[] = [
  { baseline: [1, 1.1], changed: [1.1, 1] },
  { baseline: [1, 1.2], changed: [1.1, 1.1] },
];

/** A training of three steps, as the real one reports it. */
export async function threeSteps(asked: Config, { report, begin }: Pick<TrainUi, 'report' | 'begin'>) {
  const config = begin?.(asked) ?? asked;
  report({ ...RUN_START, run: config.run, config });
  report(CHECK);
  for (const step of [1, 2, 3]) report(trainStep(step));
  report(EVAL);
  report(RUN_END);
  return { exitCode: 0, top1: 0.82, steps: 3 };
}

/** Runs a command with stand-ins for everything outside; `replaced` are better ones. */
export async function run(argv: readonly string[], replaced: Replaced = {}): Promise<Outcome> {
  const [stdout, stderr] = [new Screen(), new Screen()];
  const exitCode = await main(argv, {
    stdout,
    stderr,
    env: {},
    now: () => new Date(2026, 1, 3, 4, 5, 6),
    findCluster: async () => undefined,
    listDevices: async () => DEVICES,
    hasFashionMnist: async () => false,
    countClasses: async () => () => undefined,
    ensureLibrary: async () => '/lib/libtensorflow.so',
    examineLibrary: async () => ({ library: undefined, nvidia: false, hidden: false, cuda: [] }),
    examineGpus: async () => undefined,
    loadTrain: trainModule({ train: threeSteps, evaluateRun: async () => SCORES, compareSpeeds: async () => SPEEDS }),
    ...replaced,
  });
  return { exitCode, stdout, stderr };
}
