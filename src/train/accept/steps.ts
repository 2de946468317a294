/** Steps on noise instead of data: how fast they are, and where their ops run. */
import { type Config, imagesPerStep } from '../../config/config.js';
import { sourceSize } from '../../config/crossing.js';
import { bareDevice } from '../../config/servers.js';
import { createSlot, layoutOf, type SlotLayout, slotViews } from '../../data/index.js';
import { hasKernel, type PlacedOp, recordPlacement } from '../../native/c/ops.js';
import { median } from '../../numbers.js';
import { isMeasured } from '../levels.js';
import { openTeam, type Team } from '../team.js';

/** The first steps trace functions and choose algorithms. */
const WARM_UP = 3;
const MIN_STEPS = 5;

/** Runs steps for some seconds, at least {@link MIN_STEPS}. @throws NativeError if an op fails. */
export async function measureSpeed(config: Config, seconds: number) {
  return await withTeam(config, async (team) => {
    const stepMs: number[] = [];
    const sum = { step: 0, exchange: 0, wait: 0 };
    let [finite, exchangeBytes] = [true, 0];
    let started = performance.now();
    for (let step = 1; step <= WARM_UP + MIN_STEPS || performance.now() - started < 1000 * seconds; step++) {
      const from = performance.now();
      if (step === WARM_UP + 1) started = from;
      const replies = await stepOnce(team, config, step);
      finite &&= Number.isFinite(replies.find(({ loss }) => loss !== undefined)?.loss);
      if (step <= WARM_UP) continue;
      stepMs.push(performance.now() - from);
      const slowest = replies.reduce((a, b) => (b.stepMs > a.stepMs ? b : a));
      sum.step += slowest.stepMs;
      sum.exchange += slowest.exchangeMs;
      sum.wait += slowest.waitMs;
      exchangeBytes = replies.reduce((total, each) => total + each.exchangeBytes, 0);
    }
    const total = stepMs.reduce((a, b) => a + b, 0);
    return {
      imagesPerS: (1000 * config.batchSize * stepMs.length) / total,
      /** The median. */
      stepMs: median(stepMs),
      steps: stepMs.length,
      /** Shares of the slower tower's time. */
      exchangeShare: sum.exchange / sum.step,
      waitShare: sum.wait / sum.step,
      exchangeBytes,
      finite,
      /** The largest memory of the process so far. */
      processBytes: 1024 * process.resourceUsage().maxRSS,
    };
  });
}

/** Ops that TensorFlow itself adds between the parts of a function. */
const PLUMBING = /^_(Arg|Retval|DeviceArg|DeviceRetval|Send|Recv|HostSend|HostRecv)$|^NoOp$/;

/**
 * Runs a step of the whole net op by op on each device, where an op without a kernel fails. Then counts the ops by device
 * of a step and an evaluation of the split. @throws NativeError if an op fails.
 */
export async function findKernels(config: Config) {
  const stepAndEvaluate = (each: Config) =>
    withTeam(each, async (team) => {
      await stepOnce(team, each, 1);
      await team.ask({ kind: 'evaluate', slot: 0, count: each.batchSize, step: 1 });
    });
  // One device at a time: a card may have to compile its kernels first, and a peer would wait too long.
  for (const devices of [config.devices, config.devices.toReversed()]) {
    await stepAndEvaluate({ ...config, devices, placement: 'single', compile: 'off' });
  }
  const placed = recordPlacement();
  await stepAndEvaluate({ ...config, compile: 'on' });
  const ops = placed().filter(({ op }) => !PLUMBING.test(op));
  return { ops: countOps(ops), missing: missingKernels(ops, config.devices) };
}

/** The ops that are on the host only because a tower's type of device has no kernel for them. */
export function missingKernels(ops: readonly PlacedOp[], devices: readonly string[]): string[] {
  const types = new Set(devices.map((name) => bareDevice(name).split(':')[0]!));
  types.delete('CPU');
  const missing = ops.filter((each) => {
    const isOnHost = /device:CPU:\d+$/.test(each.device);
    return isOnHost && [...types].some((type) => !hasKernel(each, type));
  });
  return [...new Set(missing.map(({ op }) => op))].sort();
}

function countOps(ops: readonly PlacedOp[]): Record<string, Record<string, number>> {
  const counts: Record<string, Record<string, number>> = {};
  for (const { op, device } of ops) {
    const name = device.replace(/^.*device:/, '');
    counts[name] ??= {};
    counts[name][op] = (counts[name][op] ?? 0) + 1;
  }
  return counts;
}

/** Opens a team with one batch slot of noise while `use` runs. */
export async function withTeam<T>(config: Config, use: (team: Team) => Promise<T>): Promise<T> {
  const layout = layoutFor(config);
  const slot = createSlot(layout);
  fillSlot(slot, layout, config);
  const team = await openTeam(config, { slots: [slot], layout });
  try {
    return await use(team);
  } finally {
    await team.close();
  }
}

/** Trains a step on what is in the slot. */
export function stepOnce(team: Team, config: Config, step: number) {
  const count = imagesPerStep(config);
  // The rate is small enough for any net: what the net learns does not matter.
  const rate = { learningRate: 1e-5, epoch: 1 };
  return team.ask({ kind: 'step', slot: 0, count, step, ...rate, update: true, keep: false });
}

/** The layout that the slots of a run with these settings have, without a mean image. */
export function layoutFor(config: Config): SlotLayout {
  const { data, net } = config;
  const { inputSize, inputChannels } = net;
  const size = sourceSize(data);
  const { mean, scale } = isMeasured(data) ? data : { mean: [127], scale: 1 };
  // The net may be another than the settings are for.
  const each = (values: readonly number[]) =>
    Array.from({ length: inputChannels }, (_, c) => values[c % values.length]!);
  const options = {
    ...{ ...data, meanImage: false, mean: each(mean), scale: typeof scale === 'number' ? scale : each(scale) },
    colourNoise: inputChannels === 3 ? data.colourNoise : { ...data.colourNoise, strength: 0 },
  };
  const sizes = { batchSize: imagesPerStep(config), inputSize, inputChannels };
  return layoutOf({ height: size, width: size, channels: inputChannels }, options, sizes);
}

/** Fills images with noise in the data's range, and labels with each class in turn. */
function fillSlot(slot: SharedArrayBuffer, layout: SlotLayout, config: Config): void {
  const { net, data } = config;
  const { images, labels, noise } = slotViews(slot, layout);
  const scale = isMeasured(data) ? data.scale : 1;
  let state = 1;
  for (let i = 0; i < images.length; i++) {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) | 0; // Numerical Recipes' generator
    images[i] = layout.normalization
      ? state >>> 24
      : (state >> 24) * (typeof scale === 'number' ? scale : scale[i % scale.length]!);
  }
  noise?.fill(1);
  for (let i = 0; i < labels.length; i++) labels[i] = i % net.classes;
}
