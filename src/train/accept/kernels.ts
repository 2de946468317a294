/** Which ops a step is made of, and whether the towers' devices have kernels for all of them. */
import type { Config } from '../../config/config.js';
import { tensorflowName } from '../../config/devices.js';
import { createSlot } from '../../data/index.js';
import { hasKernel, type PlacedOp, recordPlacement } from '../../native/c/placement.js';
import { openTeam } from '../team.js';
import type { KernelsResult } from './jobs.js';
import { fillSlot } from './speed.js';

/** What TensorFlow itself puts between the parts of a function: no op of ours. */
const PLUMBING = /^_(Arg|Retval|DeviceArg|DeviceRetval|Send|Recv|HostSend|HostRecv)$|^NoOp$/;

/**
 * A step of the whole net op by op on each device, where an op without a kernel fails, then a step and an evaluation of
 * the split as functions, whose ops are listed.
 * @throws NativeError for an op that does not run.
 */
export async function findKernels(config: Config): Promise<KernelsResult> {
  const [first, second] = config.devices;
  // One at a time: a card may have to compile its kernels first, for which no peer is to wait.
  for (const devices of [
    [first!, second!],
    [second!, first!],
  ]) {
    await stepOnce({ ...config, devices, placement: 'single', compile: 'off' });
  }
  const placed = recordPlacement();
  await stepOnce({ ...config, compile: 'on' });
  const ops = placed().filter(({ op }) => !PLUMBING.test(op));
  return { ops: countsOf(ops), missing: missingOf(ops, config.devices) };
}

async function stepOnce(config: Config): Promise<void> {
  const { net, batchSize } = config;
  const slot = createSlot(batchSize, net.inputSize, net.inputChannels);
  fillSlot(slot, config);
  const team = await openTeam(config, [slot]);
  try {
    const common = { slot: 0, count: batchSize, step: 1 } as const;
    await team.ask({ kind: 'step', ...common, learningRate: 1e-4, epoch: 1, update: true, keep: false });
    await team.ask({ kind: 'evaluate', ...common });
  } finally {
    await team.close();
  }
}

/** Ops on the host that are there only because a tower's kind of device has no kernel for them. */
export function missingOf(ops: readonly PlacedOp[], devices: readonly string[]): string[] {
  const types = new Set(devices.map((name) => tensorflowName(name).split(':')[0]!));
  types.delete('CPU');
  const missing = ops.filter((each) => {
    const isOnHost = /device:CPU:\d+$/.test(each.device);
    return isOnHost && [...types].some((type) => !hasKernel(each, type));
  });
  return [...new Set(missing.map(({ op }) => op))].sort();
}

function countsOf(ops: readonly PlacedOp[]): Record<string, Record<string, number>> {
  const counts: Record<string, Record<string, number>> = {};
  for (const { op, device } of ops) {
    const short = device.replace(/^.*device:/, '');
    counts[short] ??= {};
    counts[short][op] = (counts[short][op] ?? 0) + 1;
  }
  return counts;
}
