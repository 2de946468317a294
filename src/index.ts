/**
 * The public API: what the command line does, from a program.
 * @example
 * import { resolveConfigHere, train } from 'alexnet-split';
 * const config = await resolveConfigHere({ preset: 'mini', steps: 10 });
 * const { top1, error } = await train(config, { report: ({ event }) => console.log(event) });
 */
export {
  type Checkpoint,
  checkpointsFolder,
  newestCheckpoint,
  readCheckpoint,
  type Skipped,
} from './checkpoint/store.js';
export { makeRunFolder, resolveConfigHere, train, verify } from './cli/programs.js';
export { type Config, type Machine, type Resolved, resolveConfig } from './config/config.js';
export type { ConfigLayer } from './config/layers.js';
export { PRESETS } from './config/presets.js';
export * from './errors.js';
export { EVENTS, type EventName, type EventOf, type LogEvent, type Report } from './log.js';
export { openLog, type RunLog } from './log-writer.js';
export { buildNet, type Net, type NetOptions, type Parameter, parametersOf, type Site, sitesOf } from './model/net.js';
export { type Row, summarize, type Totals, totalsOf, towersPicture } from './model/summary.js';
export { TABLES, type TableName } from './model/tables.js';
export { BASELINE, type Variant, variantsOf } from './train/ablate.js';
export { type Result, watchTraining } from './train/ablate-result.js';
export {
  evaluateRun,
  type GoldenResult,
  type Guess,
  type Prediction,
  predictFiles,
  type Resume,
  type Scores,
  type TrainResult,
  type TrainUi,
  type VerifyResult,
  verifyGolden,
} from './train/index.js';
