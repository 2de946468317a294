/**
 * The public API: what the command line does, from a program.
 * @example
 * import { resolveConfig, train } from 'alexnet-split';
 * import { listDevices } from 'alexnet-split/native';
 * const devices = listDevices().map(({ name }) => name);
 * const flags = { values: { preset: 'mini', steps: 10 } };
 * const { config } = resolveConfig([flags], { devices, fashionMnist: false, now: new Date() });
 * await train(config, { report: console.log, signal: new AbortController().signal });
 */
export {
  type Checkpoint,
  checkpointsFolder,
  newestCheckpoint,
  readCheckpoint,
  type Skipped,
} from './checkpoint/store.js';
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
  type Resume,
  type Scores,
  type TrainResult,
  type TrainUi,
  train,
  type VerifyResult,
  verify,
  verifyGolden,
} from './train/index.js';
