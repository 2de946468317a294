/** Measures this machine for a plan: the layers of its net on a device, and what a step costs besides them. */
import { cpus } from 'node:os';

import tf = require('@tensorflow/tfjs');

import type { Config } from '../../config/config.js';
import { opThreads } from '../../config/devices.js';
import { ConfigError } from '../../errors.js';
import { usableCores } from '../../limits.js';
import { buildNet, parametersOf } from '../../model/net.js';
import { useDevice } from '../../native/binding/backend.js';
import { copyTensor } from '../../native/binding/tensors.js';
import { listDevices } from '../../native/c/context.js';
import { compile } from '../../native/graph/compile.js';
import { halfSquares } from '../../native/layers/layer-ops.js';
import { median } from '../../numbers.js';
import { parameterBytes } from '../../plan/costs.js';
import type { MessageCost, Rates, RemoteCost } from '../../plan/rates.js';
import { Parameters } from '../../tower/parameters.js';
import { measureCopies } from '../accept/copies.js';
import { stepOnce, withTeam } from '../accept/steps.js';
import { contextOptions } from '../context-options.js';
import { measureLayers } from './layer-times.js';

/** A net with almost nothing to compute: a step of it is what a step costs besides its layers. */
export const SMALL = {
  table: 'original',
  width: 0.02,
  inputSize: 67,
  inputChannels: 3,
  classes: 10,
  init: 'he',
  dropout: true,
} as const;
/** Messages one after another in a step of it: two at each cross-connection, and the norms of the gradients. */
export const SMALL_MESSAGES = 9;
/** Of measuring the layers, if the net is not so large that the least number of rounds takes longer. */
const SECONDS = 4;
const STEPS = { warmUp: 20, counted: 60 };
/** Bytes of parameters with which the update is measured, at most. */
const COPIED_BYTES = 8 * 2 ** 20;

/** What TensorFlow's servers add, measured in network namespaces of one machine with two cores (docs/scaling.md). */
export const REMOTE: RemoteCost = {
  ...{ callMs: 5, callRoundTrips: 4 },
  message: { ms: 2, bytesPerMs: 500_000, roundTrips: 0.5, relayedRoundTrips: 1 },
};

/**
 * Measures the rates for a net and a batch size on this machine's devices of a type, for some seconds.
 * @param type `CPU` or `GPU`.
 * @param seconds about so long for the layers.
 * @throws ConfigError if there is no such device; NativeError if TensorFlow fails.
 */
export async function calibrate(asked: Config, type: string, seconds = SECONDS): Promise<Rates> {
  const devices = devicesOf(type, asked);
  const config = { ...asked, devices };
  const { net: options, batchSize, convolutions, optimizer } = config;
  const [name] = devices as [string];
  const isCpu = type === 'CPU';
  useDevice(name);
  const net = buildNet(options);
  const slots = isCpu ? Math.max(1, Math.floor(usableCores() / (opThreads(options.table) || usableCores()))) : 1;
  const halves = slots >= 2 ? 2 : 1;
  const layers = measureLayers(net, batchSize, { seconds, halves, convolutions });
  const small = { ...config, net: SMALL, batchSize: 1, optimizer: { ...optimizer, ownRates: undefined } };
  const smallLayers = measureLayers(buildNet(SMALL), 1, { seconds: 0.5, halves, convolutions });
  const smallMs = smallLayers.reduce((sum, each) => sum + each.forwardMs + each.inputMs + each.kernelMs, 0);
  const steps = await smallSteps(small as Config);
  const messageMs = Math.max(0.01, (steps.msgpack - steps.single) / SMALL_MESSAGES);
  const deviceMs = Math.max(0.01, (steps.device - steps.single - messageMs) / (SMALL_MESSAGES - 1));
  useDevice(name);
  return {
    ...{ machine: thisMachine(), date: new Date().toISOString(), assumed: false, device: isCpu ? 'CPU' : 'GPU', slots },
    ...{ layers, updateBytesPerMs: updateRate(config), stepMs: Math.max(0, steps.single - smallMs) },
    local: copyCosts(config, messageMs, deviceMs),
    remote: REMOTE,
  };
}

/** This machine's devices of the type, for two towers. @throws ConfigError if there are none. */
function devicesOf(type: string, { net }: Config): string[] {
  const all = listDevices(contextOptions(net.table, [])).map(({ name }) => name);
  const [first, second = first] = all.filter((name) => name.startsWith(`${type}:`));
  if (first !== undefined) return [first, second!];
  throw new ConfigError(
    `Cannot measure a ${type}: TensorFlow has ${all.join(', ')} here, expected a ${type}; give the rates of one with --rates FILE, or assume them with --gflops`,
  );
}

function thisMachine(): string {
  const cpu = cpus()[0]?.model.trim() ?? 'an unknown processor';
  return `${cpu}, ${usableCores()} cores`;
}

/** Medians of the steps of the small net, which run in turn. */
async function smallSteps(config: Config): Promise<Record<'single' | 'msgpack' | 'device', number>> {
  const variants = [
    { ...config, placement: 'single' as const },
    ...(['msgpack', 'device'] as const).map((transport) => ({
      ...{ ...config, placement: 'split' as const, exchange: { ...config.exchange, transport } },
    })),
  ];
  const [single, msgpack, device] = variants as [Config, Config, Config];
  return await withTeam(single, (a) =>
    withTeam(msgpack, (b) =>
      withTeam(device, async (c) => {
        const teams = { single: a, msgpack: b, device: c };
        const times: Record<keyof typeof teams, number[]> = { single: [], msgpack: [], device: [] };
        for (let step = 1; step <= STEPS.warmUp + STEPS.counted; step++) {
          for (const name of ['single', 'msgpack', 'device'] as const) {
            const started = performance.now();
            await stepOnce(teams[name], config, step);
            if (step > STEPS.warmUp) times[name].push(performance.now() - started);
          }
        }
        return { single: median(times.single), msgpack: median(times.msgpack), device: median(times.device) };
      }),
    ),
  );
}

/** Bytes of parameters that the norm of the gradients and the update take in a millisecond. */
function updateRate({ net: options, optimizer, seed, compile: mode }: Config): number {
  const net = buildNet(options);
  const described = parametersOf(net, 0);
  const parameters = new Parameters(described, options.init, optimizer, seed, mode, 0);
  const gradients = described.map(({ shape }) => tf.randomNormal([...shape], 0, 1e-6));
  const norm = compile((...all) => [halfSquares(all)]);
  const times: number[] = [];
  for (let round = -1; round < 5; round++) {
    const started = performance.now();
    const [squares] = norm(...gradients);
    squares!.dataSync();
    parameters.update(gradients, 1e-9);
    tf.tidy(() => parameters.readOne(parameters.names[0]!).flatten().slice(0, 1).dataSync());
    if (round >= 0) times.push(performance.now() - started);
    squares!.dispose();
  }
  tf.dispose(gradients);
  norm.dispose();
  parameters.dispose();
  return parameterBytes(net, 0) / Math.max(0.001, median(times));
}

/** How fast bytes go from tower to tower of this machine. */
function copyCosts(config: Config, messageMs: number, deviceMs: number): Rates['local'] {
  const copied = Math.min(COPIED_BYTES, 4 * config.batchSize * 65_536);
  const tensor = tf.randomUniform([copied / 4]);
  const target = new Uint8Array(new SharedArrayBuffer(copied));
  tensor.dataSync();
  const times = Array.from({ length: 5 }, () => {
    const started = performance.now();
    copyTensor(tensor, target);
    return performance.now() - started;
  });
  tensor.dispose();
  const toHost = copied / median(times);
  const isCpu = config.devices[0]!.startsWith('CPU');
  const msgpack: MessageCost = { ms: messageMs, bytesPerMs: isCpu ? toHost : toHost / 2 }; // from a GPU, and to one
  if (isCpu) return { msgpack, device: { ms: deviceMs, bytesPerMs: 1e6 } }; // nothing is copied
  const { rates } = measureCopies({
    ...config,
    devices: [config.devices[0]!, config.devices[1] ?? config.devices[0]!],
  });
  return { msgpack, device: { ms: deviceMs, bytesPerMs: (rates.at(-1)?.peer[0] ?? 1e9) / 1000 } };
}
