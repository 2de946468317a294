/** How fast a placement is, over batches that are already there: data are not what is measured. */
import type { Config } from '../../config/config.js';
import { createSlot, slotViews } from '../../data/index.js';
import type { StepReply } from '../../tower/protocol.js';
import { openTeam } from '../team.js';
import type { SpeedResult } from './jobs.js';

/** The first ones trace, and choose algorithms. */
const WARM_UP = 3;
const LEAST_STEPS = 5;

/** Steps for some seconds, and at least {@link LEAST_STEPS}. @throws NativeError for what does not run. */
export async function measureSpeed(config: Config, seconds: number): Promise<SpeedResult> {
  const { net, batchSize } = config;
  const slot = createSlot(batchSize, net.inputSize, net.inputChannels);
  fillSlot(slot, config);
  const team = await openTeam(config, [slot]);
  try {
    const stepMs: number[] = [];
    const sum = { step: 0, exchange: 0, wait: 0 };
    let [finite, exchangeBytes] = [true, 0];
    let started = performance.now();
    for (let step = 1; step <= WARM_UP + LEAST_STEPS || performance.now() - started < 1000 * seconds; step++) {
      const from = performance.now();
      if (step === WARM_UP + 1) started = from;
      const replies = await team.ask({
        ...{ kind: 'step', slot: 0, count: batchSize, step, epoch: 1, update: true, keep: false },
        // Small enough for any net: what is learnt does not matter.
        learningRate: 1e-5,
      });
      finite &&= Number.isFinite(replies.find(({ loss }) => loss !== undefined)?.loss);
      if (step <= WARM_UP) continue;
      stepMs.push(performance.now() - from);
      add(sum, replies);
      exchangeBytes = replies.reduce((total, each) => total + each.exchangeBytes, 0);
    }
    const total = stepMs.reduce((a, b) => a + b, 0);
    return {
      imagesPerS: (1000 * batchSize * stepMs.length) / total,
      stepMs: stepMs.sort((a, b) => a - b)[Math.floor(stepMs.length / 2)]!,
      steps: stepMs.length,
      exchangeShare: sum.exchange / sum.step,
      waitShare: sum.wait / sum.step,
      ...{ exchangeBytes, finite, processBytes: 1024 * process.resourceUsage().maxRSS },
    };
  } finally {
    await team.close();
  }
}

function add(sum: { step: number; exchange: number; wait: number }, replies: readonly StepReply[]): void {
  const slowest = replies.reduce((a, b) => (b.stepMs > a.stepMs ? b : a));
  sum.step += slowest.stepMs;
  sum.exchange += slowest.exchangeMs;
  sum.wait += slowest.waitMs;
}

/** Noise as images, within the data's range, and each class in turn. */
export function fillSlot(slot: SharedArrayBuffer, { batchSize, net, data }: Config): void {
  const { images, labels } = slotViews(slot, batchSize, net.inputSize, net.inputChannels);
  let state = 1;
  for (let i = 0; i < images.length; i++) {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) | 0; // Numerical Recipes' generator
    images[i] = (state >> 24) * data.scale;
  }
  for (let i = 0; i < labels.length; i++) labels[i] = i % net.classes;
}
