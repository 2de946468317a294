/** What a training is given from outside, and what it returns. */
import type { Config } from '../config/config.js';
import type { Statistics } from '../data/index.js';
import type { SplitError } from '../errors.js';
import type { Report } from '../log.js';
import type { DryRun } from './dry-run.js';
import type { Busy } from './progress.js';
import type { Resume } from './resume.js';

export interface TrainResult {
  exitCode: number;
  /** Test accuracy at the end; NaN if the run did not get there. */
  top1: number;
  steps: number;
  /** What ended the run, unless it reached its end or was stopped. */
  error?: SplitError;
  /** With `TrainUi.dryRun`, unless it was stopped. */
  dryRun?: DryRun;
}

/** What a run is given from outside. */
export interface TrainUi {
  /** Receives the events, `run_start` first. */
  report: Report;
  /**
   * Makes the run's folder. Called just before `run_start`, when everything that can be checked has been checked.
   * @returns the config with the name that the run got.
   */
  begin?: (config: Config) => Config;
  /** Called before a checkpoint takes the weights: a run that resumes from it does again what comes later. */
  beforeCheckpoint?: (() => void) | undefined;
  /** Ends the run after the present step; its reason may be the signal's name. */
  signal: AbortSignal;
  /** The command that trains, for messages: flags follow it. */
  command?: string;
  /**
   * Says how to try a lower learning rate than this one, where that is not a branch of the run.
   * @param healthy the last step at which nothing was wrong, if it is known.
   */
  lowerRate?: ((learningRate: number, healthy: number | undefined) => string) | undefined;
  /** What to resume from, instead of initial values. */
  resume?: Resume | undefined;
  /** What is subtracted from the images, if it is not computed from them: that of the images of the weights. */
  statistics?: Statistics | undefined;
  /** Receives a sentence about whatever takes long before `run_start`. */
  note?: (text: string) => void;
  busy?: Busy | undefined;
  /** Ends before the first step, and writes nothing. Whatever would end the run until then is thrown. */
  dryRun?: boolean;
}
