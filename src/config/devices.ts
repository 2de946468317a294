/** The devices that the towers are on. */
import { ConfigError, truncate } from '../errors.js';
import { usableCores } from '../limits.js';
import { TABLES, type TableName } from '../model/tables.js';
import type { Config } from './schema.js';
import { bareDevice, remoteDevice, serverDevices } from './servers.js';

/**
 * Shortens TensorFlow's spellings of a device (`/device:cpu:0` and the full name) to `CPU:0`. The name of another
 * process's device stays as it is, because two processes may each have a `GPU:0`.
 */
export function shortName(name: unknown): unknown {
  if (typeof name !== 'string') return name;
  const local = name.trim().replace(/^(\/job:localhost\/replica:0\/task:0)?\/?device:/i, '');
  const remote = remoteDevice(local);
  if (remote) return `${remote.server}/${remote.device}`;
  return local.startsWith('/') ? local : local.toUpperCase();
}

export function isGpu(name: string): boolean {
  return bareDevice(name).startsWith('GPU:');
}

/** The GPUs among devices, also those of servers. */
export function gpusOf(devices: readonly string[]): string[] {
  return devices.filter(isGpu);
}

/** One of the two logical devices of a split card. */
const LOGICAL = /^GPU:(\d+)\/(\d+)$/;

/**
 * Returns the number of the card to be split into the logical devices `GPU:N/0` and `GPU:N/1`, or undefined if all devices
 * are whole.
 * @throws ConfigError unless the devices are both logical devices of one card.
 */
export function splitCard(devices: readonly string[]): number | undefined {
  const parts = devices.map((name) => LOGICAL.exec(name));
  const first = parts.find((part) => part !== null);
  if (!first) return undefined;
  const card = Number(first[1]);
  const whole = devices.find((_, i) => parts[i] === null);
  const third = devices.find((_, i) => Number(parts[i]?.[2]) > 1);
  const found =
    whole !== undefined
      ? `${truncate(whole)} is a whole device beside half a card`
      : parts.some((part) => Number(part![1]) !== card)
        ? 'they are of two cards'
        : third !== undefined
          ? `a card is split in two, and there is no ${truncate(third)}`
          : devices.length > 2
            ? 'they are more than two'
            : new Set(devices).size < 2
              ? `${first[0]} is there without the card's other half`
              : undefined;
  if (found === undefined) return card;
  throw new ConfigError(
    `Cannot use the devices ${truncate(devices.join(','))}: ${found}, expected the two logical devices of one card; choose them with --devices ${logicalPair(card)}`,
  );
}

export function logicalPair(card: number): [string, string] {
  return [`GPU:${card}/0`, `GPU:${card}/1`];
}

/**
 * TensorFlow's name of a device in the settings. TensorFlow numbers its GPUs in the order of the cards, and only one card is
 * split, so `GPU:N/K` is GPU number N + K. A server's device keeps its name, `10.0.0.2:2222/GPU:0`.
 */
export function tensorflowName(name: string): string {
  const [, card, part] = LOGICAL.exec(name) ?? [];
  return part === undefined ? name : `GPU:${Number(card) + Number(part)}`;
}

/** The inverse, for TensorFlow's devices when that card is split: `GPU:1` is `GPU:1/0`, `GPU:2` is `GPU:1/1`, and so on. */
export function namesAfterSplit(devices: readonly string[], card: number): string[] {
  return devices.map((name) => {
    const [, number] = /^GPU:(\d+)$/.exec(name) ?? [];
    const part = Number(number) - card;
    if (number === undefined || part < 0) return name;
    return logicalPair(card)[part] ?? `GPU:${Number(number) - 1}`;
  });
}

export function cpuNames(count: number): string[] {
  return Array.from({ length: count }, (_, i) => `CPU:${i}`);
}

/** How many devices the settings need: one for each tower. */
export function devicesNeeded({ placement, replicas }: { placement: unknown; replicas: number }): number {
  return placement === 'single' ? replicas : 2 * replicas;
}

/**
 * The devices when none are named, and a note where they may surprise. Fewer than are needed if there are GPUs, but not
 * enough for several replicas.
 */
export function defaultDevices(placement: unknown, devices: readonly string[], replicas = 1): [string[], string?] {
  const needed = devicesNeeded({ placement, replicas });
  const remote = serverDevices(devices, needed);
  if (remote.length > 0) return [remote, `devices ${remote}: the first of the servers; --devices chooses others`];
  const gpus = gpusOf(devices);
  if (replicas > 1) return [gpus.length > 0 ? gpus.slice(0, needed) : cpuNames(needed)];
  if (placement === 'single') return [[gpus[0] ?? 'CPU:0']];
  if (gpus.length >= 2) return [gpus.slice(0, 2)];
  if (gpus.length === 0) return [['CPU:0', 'CPU:1']];
  return [
    [gpus[0]!, gpus[0]!],
    `devices ${gpus[0]},${gpus[0]}: there is one GPU, so both towers are on it; --devices chooses others`,
  ];
}

/**
 * The number of threads that one op may use; 0 is one a core. A net of two columns has two ops running at once, in a split
 * and in `single`, so each gets half of the cores. Then no op waits for a core of the other, and both placements add up in
 * the same order (docs/performance.md).
 * @param replicas so many nets share the cores.
 */
export function opThreads(table: unknown, cores = usableCores(), replicas = 1): number {
  if (typeof table !== 'string' || !Object.hasOwn(TABLES, table)) return 0;
  const { layers } = TABLES[table as TableName];
  const isOneColumn = layers.every((row) => !('reach' in row) || 'home' in row);
  const atOnce = replicas * (isOneColumn ? 1 : 2);
  return atOnce === 1 ? 0 : Math.max(1, Math.floor(cores / atOnce));
}

/** How many logical CPU devices TensorFlow has to have for the devices: two, or as many as the highest number asks for. */
export function cpusFor(devices: readonly string[]): number {
  const numbers = devices.map((name) => Number(/^CPU:(\d{1,3})$/.exec(name)?.[1] ?? 0));
  return Math.max(2, 1 + Math.max(0, ...numbers));
}

/** @throws ConfigError for too few or too many devices, or one that TensorFlow does not have. */
export function checkDevices(config: Config, available: readonly string[]): void {
  const { placement, devices, replicas } = config;
  const needed = devicesNeeded(config);
  const isWrong = placement === 'split' ? devices.length !== needed : devices.length < needed;
  if (replicas > 1 && isWrong) {
    const what = placement === 'split' ? `${replicas} pairs of towers` : `${replicas} whole nets`;
    throw new ConfigError(
      `Cannot run ${what} on ${truncate(devices.join(','))}: expected ${needed} devices, one for each ${placement === 'split' ? 'tower, pair by pair' : 'net'}; name ${needed} with --devices, where a device may occur several times, or choose other --replicas`,
    );
  }
  if (placement === 'split' && devices.length !== needed) {
    throw new ConfigError(
      `Cannot split over ${truncate(devices.join(','))}: expected two devices, one for each tower; name two with --devices; naming one device twice puts both towers on it`,
    );
  }
  // `single` uses the first device, and ignores the second of a config that serves both placements.
  const missing = devices.slice(0, needed).find((name) => !available.includes(name));
  if (missing === undefined) return;
  const hint = isGpu(missing) ? '; nvidia-smi shows whether the driver sees the GPU' : '';
  throw new ConfigError(
    `Cannot use the device ${truncate(missing)}: TensorFlow has ${available.join(', ')} here; choose from these with --devices${hint}`,
  );
}
