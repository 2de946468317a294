/** The devices that the towers are on. */
import { ConfigError, truncate } from '../errors.js';
import { usableCores } from '../limits.js';
import { TABLES, type TableName } from '../model/tables.js';
import type { Config } from './schema.js';
import { remoteDevice, taskDevice } from './servers.js';

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

export function gpusOf(devices: readonly string[]): string[] {
  return devices.filter((name) => name.startsWith('GPU:'));
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
 * split, so `GPU:N/K` is GPU number N + K.
 * @param servers the context's, in the order of their tasks.
 */
export function tensorflowName(name: string, servers: readonly string[] = []): string {
  const [, card, part] = LOGICAL.exec(name) ?? [];
  return part === undefined ? taskDevice(name, servers) : `GPU:${Number(card) + Number(part)}`;
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

/** The devices when none are named, and a note where they may surprise. */
export function defaultDevices(placement: unknown, devices: readonly string[]): [string[], string?] {
  const gpus = gpusOf(devices);
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
 */
export function opThreads(table: unknown, cores = usableCores()): number {
  if (typeof table !== 'string' || !Object.hasOwn(TABLES, table)) return 0;
  const { layers } = TABLES[table as TableName];
  const isOneColumn = layers.every((row) => !('reach' in row) || 'home' in row);
  return isOneColumn ? 0 : Math.max(1, Math.floor(cores / 2));
}

/** @throws ConfigError for too few or too many devices, or one that TensorFlow does not have. */
export function checkDevices({ placement, devices }: Config, available: readonly string[]): void {
  if (placement === 'split' && devices.length !== 2) {
    throw new ConfigError(
      `Cannot split over ${truncate(devices.join(','))}: expected two devices, one for each tower; name two with --devices; naming one device twice puts both towers on it`,
    );
  }
  // `single` uses the first device, and ignores the second of a config that serves both placements.
  const missing = devices.slice(0, placement === 'single' ? 1 : 2).find((name) => !available.includes(name));
  if (missing === undefined) return;
  const hint = missing.startsWith('GPU') ? '; nvidia-smi shows whether the driver sees the GPU' : '';
  throw new ConfigError(
    `Cannot use the device ${truncate(missing)}: TensorFlow has ${available.join(', ')} here; choose from these with --devices${hint}`,
  );
}
