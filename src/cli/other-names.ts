/** Flags by the names that they have in other programs, for the message about an unknown one. */
import type { Command } from 'commander';

/** Our flag, and what others call it, without dashes in front. */
export const OTHER_NAMES: Record<string, string> = {
  lr: 'learning-rate learningrate base-lr initial-lr init-lr max-lr rate',
  schedule: 'scheduler lr-scheduler lr-schedule lr-scheduler-type sched lr-policy',
  'warmup-epochs': 'warmup lr-warmup-epochs warmup-steps warmup-ratio num-warmup-steps',
  'weight-decay': 'wd decay l2 weightdecay',
  momentum: 'mom beta sgd-momentum',
  'batch-size': 'b bs batch batchsize train-batch-size per-device-train-batch-size mini-batch-size',
  epochs: 'epoch num-epochs n-epochs max-epochs num-train-epochs total-epochs',
  steps: 'max-steps num-steps iterations iters max-iter max-iters num-iterations',
  devices: 'device gpus gpu gpu-ids gpu-id cuda cuda-device num-gpus',
  servers: 'hosts nodes',
  replicas: 'num-replicas world-size nproc-per-node data-parallel',
  workers: 'j num-workers threads dataloader-num-workers n-jobs',
  net: 'model arch architecture network model-name',
  data: 'dataset data-dir data-path data-root train-dir train-data dataset-dir images root',
  classes: 'num-classes n-classes nb-classes',
  'input-size': 'img-size image-size crop-size imgsz train-crop-size',
  resize: 'resize-size val-resize-size',
  out: 'o output output-dir out-dir save-dir save-path outdir log-dir logdir outf',
  run: 'name exp-name experiment run-name run-id',
  resume: 'resume-from resume-from-checkpoint load-checkpoint checkpoint ckpt continue',
  weights: 'pretrained init-from from-pretrained load model-path',
  checkpoint: 'ckpt which',
  'log-every': 'log-interval print-freq log-freq logging-steps log-every-n-steps display',
  'eval-every': 'eval-interval eval-freq eval-steps val-interval val-every',
  'checkpoint-every': 'save-every save-freq save-steps save-interval checkpoint-interval snapshot',
  keep: 'save-total-limit max-to-keep keep-checkpoints',
  seed: 'random-seed manual-seed rng-seed',
  activation: 'nonlinearity act',
  config: 'c cfg config-file conf',
  top: 'topk top-k k',
  flip: 'hflip horizontal-flip random-flip',
  crop: 'random-crop',
};

/** `--batch_size`, `--batchSize` and `-b` as `batch-size` and `b`. */
function plain(flag: string): string {
  return flag
    .replace(/^-+/, '')
    .replace(/(?<=[a-z])[A-Z]/g, (letter) => `-${letter}`)
    .toLowerCase()
    .replaceAll('_', '-');
}

/**
 * The flag of a command that somebody means who types its name of another program: `--lr <rate>` for `--learning-rate`.
 * @param typed with its dashes. @returns undefined if the command has none.
 */
function flagMeantBy(typed: string, command: Command): string | undefined {
  const name = plain(typed);
  const names = [name, ...Object.keys(OTHER_NAMES).filter((ours) => OTHER_NAMES[ours]!.split(' ').includes(name))];
  return command.options.find(({ long }) => names.some((each) => long === `--${each}`))?.flags;
}

/** Commander's message, with the flag that is meant where an unknown one has a name of another program. */
export function withMeantFlag(message: string, command: Command): string {
  const typed = /^(?:error: )?unknown option '([^'=]+)/.exec(message)?.[1];
  const meant = typed === undefined ? undefined : flagMeantBy(typed, command);
  if (meant === undefined) return message;
  return `${message.replace(/\s*\(Did you mean .*\)$/s, '')} (Did you mean ${meant}?)`;
}
