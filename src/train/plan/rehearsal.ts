/** A rehearsal: how fast this machine reads and decodes a run's images and trains on them, each alone and all together. */
import type { Config } from '../../config/config.js';
import { isGpu, tensorflowName } from '../../config/devices.js';
import { remoteDevice } from '../../config/servers.js';
import {
  type BatchFeeder,
  channelsFor,
  IMAGENET_COLOURS,
  measureDecoding,
  needsStatistics,
  type Statistics,
  slotViews,
} from '../../data/index.js';
import { useDevice } from '../../native/binding/backend.js';
import { floatOfBytes, settle, tensorFrom } from '../../native/binding/tensors.js';
import { openContext } from '../../native/c/context.js';
import { findLibrary } from '../../native/install/library.js';
import { median, sumOf } from '../../numbers.js';
import type { Rehearsal } from '../../plan/outlook.js';
import { spaceOf } from '../checkpoints.js';
import { contextOptions, joinedOptions } from '../context-options.js';
import { dataWorkersOf } from '../data-workers.js';
import { wholeLogBytes } from '../dry-run.js';
import { JPEG_DECODER, openFeed } from '../feed.js';
import { stepsOf } from '../progress.js';
import { openTeam, type Team } from '../team.js';
import { openUpcoming } from '../upcoming.js';

/** The shares of the time. What compiles and warms up comes on top of it. */
const SHARES = { read: 0.1, decode: 0.1, prepare: 0.2, step: 0.2, together: 0.3, evaluate: 0.1 };
/** The first steps compile, and choose algorithms. */
const WARM_UP = 3;
const LEAST = 3;
/** Uploads of a batch to a device; the fastest counts. */
const UPLOADS = 5;

export interface RehearsalOptions {
  /** About how long to measure. */
  seconds: number;
  /** `false`: the towers are not opened, because a step is predicted. */
  isTraining?: boolean;
  /** Receives a sentence about what is measured now. */
  note?: (text: string) => void;
  signal?: AbortSignal;
}

/**
 * Measures with the run's settings, and writes nothing. The mean image is not computed: a grey one takes its place.
 * @throws DataError if the data cannot be used; what opening and asking the towers throws.
 */
export async function rehearse(
  asked: Config,
  { seconds, isTraining = true, note = () => {}, signal = new AbortController().signal }: RehearsalOptions,
): Promise<Rehearsal> {
  const config = withAnyLevels(asked);
  const feed = await openFeed(config, { signal, statistics: anyStatistics(config) });
  const { dataset, feeder, reopen, dataWorkers } = feed;
  try {
    const secondsOf = (part: keyof typeof SHARES) => SHARES[part] * seconds;
    const steps = stepsOf(config, feeder.batchesPerEpoch);
    const found: Rehearsal = {
      ...{ steps, batchesPerEpoch: feeder.batchesPerEpoch, testBatches: feeder.testBatches },
      ...{ trainImages: dataset.train.count, testImages: dataset.test.count, dataWorkers },
      needsMean: needsStatistics(config.data),
      prepare: 0,
      hostBytes: 0,
    };
    if (dataset.kind === 'files') {
      if (dataset.stored?.kind === 'jpeg') await openDecodingContext(config, isTraining);
      note('reading images');
      const reader = reopen(true);
      found.read = await rateOf(reader, 2 / 3, secondsOf('read'), signal).finally(() => reader.close());
      note('decoding images');
      const { resize, interpolation, upright } = config.data;
      const channels = channelsFor(config.net.inputChannels);
      const { decoders } = dataWorkersOf(config);
      const options = {
        ...{ resize, channels, interpolation, upright, decoders, seed: config.seed, signal },
        jpegDecoder: JPEG_DECODER,
      } as const;
      const rate = await measureDecoding(dataset, { ...options, seconds: secondsOf('decode') });
      if (rate) found.decode = rate;
    }
    note('preparing batches: reading, decoding, cropping');
    found.prepare = await rateOf(feeder, 0, secondsOf('prepare'), signal);
    if (isTraining) await rehearseSteps(found, feed.config, feeder, secondsOf, { note, signal });
    found.hostBytes = 1024 * process.resourceUsage().maxRSS; // in KiB
    return found;
  } finally {
    await feeder.close();
  }
}

/** Makes the context of a training: its TensorFlow decodes the images of JPEG shards. */
async function openDecodingContext(config: Config, isTraining: boolean): Promise<void> {
  if (isTraining) openContext((await joinedOptions(config)).options);
  else if (findLibrary()) openContext(contextOptions(config.net.table, [])); // the devices need not be here
}

async function rehearseSteps(
  found: Rehearsal,
  config: Config,
  feeder: BatchFeeder,
  secondsOf: (part: 'step' | 'together' | 'evaluate') => number,
  { note, signal }: Required<Pick<RehearsalOptions, 'note' | 'signal'>>,
): Promise<void> {
  note(`opening ${config.devices.join(' and ')}`);
  const team = await openTeam({ ...config, weights: null }, feeder);
  try {
    found.upload = uploadRate(config, feeder);
    note('training steps with the same images');
    let step = 0;
    const held = await feeder.train(1);
    const stepOnce = async (batch: typeof held, staged: ReturnType<Team['stage']>, prepareNext: () => void) => {
      const { slot, count, epoch } = batch;
      const rest = { count, step: ++step, epoch: epoch + 1, learningRate: 1e-6, update: true, keep: false };
      const started = performance.now();
      const asked = team.ask({ kind: 'step', slot, staged, ...rest });
      prepareNext();
      const replies = await asked;
      return { count, ms: performance.now() - started, replies };
    };
    let copy = team.stage(held);
    const stepHeld = () =>
      stepOnce(held, copy, () => {
        copy = team.stage(held);
      });
    for (let i = 0; i < WARM_UP; i++) await stepHeld();
    const alone = await repeated(secondsOf('step'), signal, stepHeld);
    await stepOnce(held, copy, () => {}); // the last copy
    feeder.release(held);
    note('training steps while the next images are prepared');
    let number = Math.floor(feeder.batchesPerEpoch / 3);
    const upcoming = openUpcoming(feeder, team, Number.POSITIVE_INFINITY);
    const together = await repeated(secondsOf('together'), signal, async () => {
      const started = performance.now();
      const { batch, staged } = await upcoming.take(++number);
      const dataMs = performance.now() - started;
      const { replies, count } = await stepOnce(batch, staged, () => upcoming.prepare(number + 1));
      feeder.release(batch);
      const stepMs = performance.now() - started;
      return { ms: stepMs, dataMs, count, slowest: replies.reduce((a, b) => (b.stepMs > a.stepMs ? b : a)) };
    });
    // The first batches were there already.
    const steady = together.slice(Math.floor(together.length / 4));
    const total = (of: (each: (typeof steady)[number]) => number) => sumOf(steady, of);
    found.step = { ms: median(alone.map(({ ms }) => ms)), images: held.count };
    found.together = {
      ms: total(({ ms }) => ms) / steady.length,
      images: total(({ count }) => count) / steady.length,
      dataShare: total(({ dataMs }) => dataMs) / total(({ ms }) => ms),
      exchangeShare: total(({ slowest }) => slowest.exchangeMs) / total(({ slowest }) => slowest.stepMs),
      waitShare: total(({ slowest }) => slowest.waitMs) / total(({ slowest }) => slowest.stepMs),
    };
    if (feeder.testBatches > 0) found.evaluate = await evaluationRate(team, feeder, secondsOf('evaluate'), signal);
    found.space = { ...spaceOf({ config, team }), log: wholeLogBytes(config, found.steps, feeder.batchesPerEpoch) };
  } finally {
    await team.close();
  }
}

/**
 * Images per second of training batches, which are released at once.
 * @param part of the epoch after which they begin, so that each measurement reads other files: the system keeps those that
 * were read before.
 */
async function rateOf(feeder: BatchFeeder, part: number, seconds: number, signal: AbortSignal): Promise<number> {
  let step = Math.floor(part * feeder.batchesPerEpoch);
  const batches = await repeated(seconds, signal, async () => {
    const started = performance.now();
    const batch = await feeder.train(++step);
    feeder.release(batch);
    return { ms: performance.now() - started, count: batch.count };
  });
  // The first ones were all filled at the same time, the last ones before they were asked for.
  return imagesPerS(batches.slice(Math.floor(batches.length / 4)));
}

function imagesPerS(batches: readonly { count: number; ms: number }[]): number {
  return (1000 * sumOf(batches, ({ count }) => count)) / sumOf(batches, ({ ms }) => ms);
}

async function evaluationRate(team: Team, feeder: BatchFeeder, seconds: number, signal: AbortSignal): Promise<number> {
  let i = 0;
  const evaluateNext = async () => {
    const started = performance.now();
    const batch = await feeder.test(i++ % feeder.testBatches);
    const { slot, count } = batch;
    if (count > 0) await team.ask({ kind: 'evaluate', slot, count, step: 1 });
    feeder.release(batch);
    return { ms: performance.now() - started, count };
  };
  await evaluateNext(); // compiles
  return imagesPerS(await repeated(seconds, signal, evaluateNext));
}

/** Calls `run` for so long, at least {@link LEAST} times. */
async function repeated<T>(seconds: number, signal: AbortSignal, run: () => Promise<T>): Promise<T[]> {
  const started = performance.now();
  const results: T[] = [];
  while (results.length < LEAST || performance.now() - started < 1000 * seconds) {
    signal.throwIfAborted();
    results.push(await run());
  }
  return results;
}

/** How long the images of a batch take to the first tower's device, as they lie in a slot; undefined where they are read in place. */
function uploadRate({ devices }: Config, feeder: BatchFeeder): Rehearsal['upload'] {
  const [device] = devices as [string];
  if (!isGpu(device) || remoteDevice(device)) return undefined;
  useDevice(tensorflowName(device));
  const values = slotViews(feeder.slots[0]!, feeder.layout).images;
  let ms = Number.POSITIVE_INFINITY;
  for (let i = 0; i < UPLOADS; i++) {
    const started = performance.now();
    const tensor = tensorFrom([values.length], values);
    const input = values instanceof Uint8Array ? floatOfBytes(tensor) : tensor;
    settle(input);
    ms = Math.min(ms, performance.now() - started);
    for (const each of new Set([tensor, input])) each.dispose();
  }
  return { bytes: values.byteLength, ms };
}

/** Levels in the place of those of the images, which would have to be read first. */
function withAnyLevels(config: Config): Config {
  const { mean, scale } = config.data;
  const data = { ...config.data, mean: mean === 'data' ? Array(config.net.inputChannels).fill(128) : mean };
  return { ...config, data: { ...data, scale: scale === 'data' ? 1 / 64 : scale } };
}

function anyStatistics({ data: { resize }, net: { inputChannels } }: Config): Statistics {
  const channels = channelsFor(inputChannels);
  const mean = new Float32Array(new SharedArrayBuffer(4 * resize * resize * channels)).fill(128);
  return { images: 1, resize, channels, mean, colours: IMAGENET_COLOURS };
}
