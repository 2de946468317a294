export type { SpeedRounds } from './ablate-rounds.js';
export { compareSpeeds } from './ablate-speed.js';
export type { DryRun } from './dry-run.js';
export { evaluateRun, type Scores } from './evaluate.js';
export { type GoldenResult, verifyGolden } from './golden.js';
export { type Guess, type Prediction, predictFiles } from './predict.js';
export type { Resume } from './resume.js';
export { type TrainResult, type TrainUi, train } from './train.js';
export { type VerifyResult, verify } from './verify.js';
