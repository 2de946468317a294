/** What a rehearsal says about the whole run: its length, what limits it, what it takes, and what to change first. */
import type { Config } from '../config/config.js';
import { isGpu } from '../config/devices.js';
import { buildNet } from '../model/net.js';
import { memoryOf } from './memory.js';

/** What was measured. Rates are in images per second. */
export interface Rehearsal {
  /** Of the run. */
  steps: number;
  batchesPerEpoch: number;
  testBatches: number;
  trainImages: number;
  testImages: number;
  /** Whether the run computes the mean or the colours of its images first, unless they are known. */
  needsMean: boolean;
  dataWorkers: { workers: number; decoders?: number; cores: number; reason: string };
  /** Reading files by all data workers; absent for images in memory. */
  read?: number;
  decode?: { imagesPerS: number; meanBytes: number; shorterSide: number };
  /** Batches: reading, decoding and cropping, while nothing else runs. */
  prepare: number;
  /** A batch from the host to a GPU. */
  upload?: { bytes: number; ms: number } | undefined;
  /** A step with the same images again and again. Absent if it is predicted. */
  step?: { ms: number; images: number };
  /** Steps while batches are prepared. The shares are those of the step's time. */
  together?: { ms: number; images: number; dataShare: number; exchangeShare: number; waitShare: number };
  evaluate?: number;
  /** Of the checkpoints' disk. `bytes`: of a checkpoint. `log`: of the whole log. */
  space?: { bytes: number; atOnce: number; log: number; free: number | undefined };
  /** The most memory of the process. */
  hostBytes: number;
}

export type Limit = 'reading' | 'decoding' | 'cropping' | 'sharing' | 'copying' | 'exchange' | 'waiting' | 'computing';

export interface Outlook {
  steps: number;
  imagesPerS: number;
  stepMs: number;
  /** Of the run from its first step to its end, in hours. */
  hours: number;
  /** Parts of {@link hours}. */
  trainHours: number;
  evaluateHours: number;
  meanHours: number;
  limit: Limit;
  /** The limit in a sentence. */
  why: string;
  /** The setting to change first. */
  advice: string;
  /** Bytes on the disk: checkpoints and log. */
  diskBytes?: number;
  /** Bytes of each tower's device; only of GPUs. */
  deviceBytes: number[];
}

/** A step waits for its images if that takes a larger share of its time. */
const WAITS = 0.05;
/** One rate limits another if it is not larger by this factor. */
const NEAR = 1.3;
/** Steps that are slower by more than this share while images are prepared. */
const SLOWED = 0.15;
/** A share of the step from which the exchange is the first to change. */
const LARGE = 0.25;
const MS_PER_HOUR = 3_600_000;
/** A JPEG of 256 × 256 is decoded several times as fast as one of ImageNet's sizes. */
const SMALLER = 1.2;

type Settings = Pick<
  Config,
  'net' | 'data' | 'batchSize' | 'steps' | 'devices' | 'evalEvery' | 'exchange' | 'placement' | 'optimizer'
>;

/**
 * @param predicted the step by the plan of its layers, where the rehearsal had no towers.
 */
export function outlookOf(
  config: Settings,
  found: Rehearsal,
  predicted?: { stepMs: number; images: number; part: string },
): Outlook {
  const step = stepOf(found, predicted);
  // The rehearsal has one replica, whose steps have fewer images.
  const factor = predicted ? predicted.images / config.batchSize : 1;
  const steps = config.steps ?? Math.ceil(found.steps / factor);
  const evaluations = Math.ceil(steps / (config.evalEvery || Math.ceil(found.batchesPerEpoch / factor)));
  // Without towers only the images are known, and computing them is faster than a step.
  const evaluating = found.evaluate ?? Math.min(found.prepare, step.imagesPerS);
  const trainMs = steps * step.ms;
  const evaluateMs = (1000 * evaluations * found.testImages) / evaluating;
  const meanMs = found.needsMean ? (1000 * found.trainImages) / found.prepare : 0;
  const hoursOf = (ms: number) => ms / MS_PER_HOUR;
  const limit = limitOf(found, step);
  const { space } = found;
  return {
    ...{ steps, imagesPerS: step.imagesPerS, stepMs: step.ms, hours: hoursOf(trainMs + evaluateMs + meanMs) },
    ...{ trainHours: hoursOf(trainMs), evaluateHours: hoursOf(evaluateMs), meanHours: hoursOf(meanMs), limit },
    why: WHY[limit],
    advice: adviceOf(limit, config, found),
    ...(space && { diskBytes: space.atOnce * space.bytes + space.log }),
    deviceBytes: deviceBytes(config),
  };
}

interface Step {
  ms: number;
  imagesPerS: number;
  dataShare: number;
  /** How much slower steps are while images are prepared; 0 to 1. */
  slowed: number;
  exchangeShare: number;
  waitShare: number;
}

function stepOf({ together, step, prepare }: Rehearsal, predicted: Parameters<typeof outlookOf>[2]): Step {
  if (together && step) {
    const { ms, images, dataShare, exchangeShare, waitShare } = together;
    const slowed = 1 - step.ms / step.images / ((ms * (1 - dataShare)) / images);
    return { ms, imagesPerS: (1000 * images) / ms, dataShare, slowed, exchangeShare, waitShare };
  }
  const { stepMs, images, part } = predicted!;
  const ms = Math.max(stepMs, (1000 * images) / prepare);
  const shares = { exchangeShare: part === 'exchange' ? 1 : 0, waitShare: part === 'wait' ? 1 : 0 };
  return { ms, imagesPerS: (1000 * images) / ms, dataShare: 1 - stepMs / ms, slowed: 0, ...shares };
}

function limitOf({ read, decode, prepare, upload }: Rehearsal, step: Step): Limit {
  if (step.dataShare > WAITS) {
    if (read !== undefined && read < NEAR * prepare && read < (decode?.imagesPerS ?? Number.POSITIVE_INFINITY))
      return 'reading';
    return decode && decode.imagesPerS < NEAR ** 2 * prepare ? 'decoding' : 'cropping';
  }
  if (step.slowed > SLOWED) return 'sharing';
  if (upload && NEAR * upload.ms > step.ms) return 'copying'; // it goes on beside the step
  if (step.exchangeShare > LARGE) return 'exchange';
  return step.waitShare > LARGE ? 'waiting' : 'computing';
}

const WHY: Record<Limit, string> = {
  reading: 'The towers wait for images, which are read no faster.',
  decoding: 'The towers wait for images, which are decoded no faster.',
  cropping: 'The towers wait for images, which are cropped and changed no faster.',
  sharing: 'The towers share their cores with the preparation of images, which slows their steps.',
  copying: 'The images of a step are copied to the devices in nearly the time of the step before, or a longer one.',
  exchange: 'Much of a step is the exchange between the towers.',
  waiting: 'Much of a step is waiting: for the other tower, or for a device that both use.',
  computing: "The towers' devices are busy all the time, so computing limits the run.",
};

function adviceOf(limit: Limit, { data, exchange }: Settings, { decode, dataWorkers }: Rehearsal): string {
  const isLarge = decode !== undefined && decode.shorterSide > SMALLER * data.resize;
  const pack = `data prepare ${data.source} --pack --resize ${data.resize}`;
  if ((limit === 'decoding' || limit === 'cropping') && data.workers !== 'auto') return '--workers auto';
  if (limit === 'reading')
    return isLarge ? `${pack}: smaller files, read in long runs` : 'a faster disk, or the images on a local one';
  if (limit === 'decoding' || limit === 'sharing') {
    if (isLarge) return `${pack}: each image is scaled once, not in every epoch`;
    if (decode) return `${pack} --raw: nothing to decode`;
  }
  if (limit === 'cropping' || limit === 'decoding' || limit === 'sharing')
    return `a machine with more cores than ${dataWorkers.cores}`;
  if (limit === 'copying') return 'fewer bytes: a smaller --batch-size does not help, a faster bus does';
  if (limit === 'exchange')
    return exchange.transport === 'device' ? '--placement single, or devices with a faster link' : '--exchange device';
  if (limit === 'waiting') return 'two devices of equal speed';
  return 'more devices: --replicas 2; `plan --rates` predicts what they bring';
}

/** Of each tower that is on a GPU. */
function deviceBytes({ net, batchSize, devices, placement, optimizer }: Settings): number[] {
  if (!devices.every(isGpu)) return [];
  const built = buildNet(net);
  const towers = placement === 'split' ? ([[0], [1]] as const) : ([[0, 1]] as const);
  return towers.map((each) => memoryOf(built, batchSize, each, optimizer.momentum > 0).total);
}
