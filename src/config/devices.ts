/** Which device each tower is on. */
import { ConfigError, truncate } from '../errors.js';
import { usableCores } from '../limits.js';
import { TABLES, type TableName } from '../model/tables.js';
import type { Config } from './config.js';

/**
 * `CPU:0` of any of the spellings, `/device:cpu:0` and TensorFlow's full name among them. The name of a device of another
 * process stays as it is: two processes may each have a `GPU:0`.
 */
export function shortName(name: unknown): unknown {
  if (typeof name !== 'string') return name;
  const local = name.trim().replace(/^(\/job:localhost\/replica:0\/task:0)?\/?device:/i, '');
  return local.startsWith('/') ? local : local.toUpperCase();
}

/** The GPUs among the devices. */
export function gpusOf(devices: readonly string[]): string[] {
  return devices.filter((name) => name.startsWith('GPU:'));
}

/** One of the two logical devices that a card is split into. */
const LOGICAL = /^GPU:(\d+)\/(\d+)$/;

/**
 * The card that is to be split into two logical devices, `GPU:N/0` and `GPU:N/1`; undefined where all are whole.
 * @throws ConfigError for anything but both of one card.
 */
export function splitCard(devices: readonly string[]): number | undefined {
  const parts = devices.map((name) => LOGICAL.exec(name));
  const first = parts.find((part) => part !== null);
  if (!first) return undefined;
  const card = Number(first[1]);
  const pair = `${logicalPair(card).join(',')}`;
  const fail = (found: string): never => {
    throw new ConfigError(
      `Cannot use the devices ${truncate(devices.join(','))}: ${found}, expected the two logical devices of one card; choose them with --devices ${pair}`,
    );
  };
  const whole = devices.find((_, i) => parts[i] === null);
  if (whole !== undefined) return fail(`${truncate(whole)} is a whole device beside half a card`);
  if (parts.some((part) => Number(part![1]) !== card)) return fail('they are of two cards');
  const more = devices.find((_, i) => Number(parts[i]![2]) > 1);
  if (more !== undefined) return fail(`a card is split in two, and there is no ${truncate(more)}`);
  if (devices.length > 2) return fail('they are more than two');
  if (new Set(devices).size < 2) return fail(`${first[0]} is there without the card's other half`);
  return card;
}

/** What the card's logical devices are called in the settings. */
export function logicalPair(card: number): [string, string] {
  return [`GPU:${card}/0`, `GPU:${card}/1`];
}

/**
 * TensorFlow's name for a device of the settings. It numbers its GPUs in the order of the cards, and of the cards only
 * one is split, so `GPU:N/K` is number N + K.
 */
export function tensorflowName(name: string): string {
  const [, card, part] = LOGICAL.exec(name) ?? [];
  return part === undefined ? name : `GPU:${Number(card) + Number(part)}`;
}

/** The settings' names for TensorFlow's devices, one of whose cards is split: `GPU:1/0`, `GPU:1/1`, and then `GPU:2`. */
export function namesAfterSplit(devices: readonly string[], card: number): string[] {
  return devices.map((name) => {
    const [, number] = /^GPU:(\d+)$/.exec(name) ?? [];
    const part = Number(number) - card;
    if (number === undefined || part < 0) return name;
    return logicalPair(card)[part] ?? `GPU:${Number(number) - 1}`;
  });
}

/** The devices when nobody named any, and the sentence that says so where it may surprise. */
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
 * Threads that one op may use; 0 is one a core. Of a net of two columns two ops run at once, in a split and in `single`
 * too, so each has half of the cores: then none waits for a core that the other is on, and both placements add up in the
 * same order (docs/performance.md).
 * @param table the net's.
 */
export function opThreads(table: unknown, cores = usableCores()): number {
  if (typeof table !== 'string' || !Object.hasOwn(TABLES, table)) return 0;
  const { layers } = TABLES[table as TableName];
  const isOneColumn = layers.every((row) => !('reach' in row) || 'home' in row);
  return isOneColumn ? 0 : Math.max(1, Math.floor(cores / 2));
}

/** @throws ConfigError for too few or too many devices, or one that TensorFlow does not have. */
export function checkDevices({ placement, devices }: Config, have: readonly string[]): void {
  if (placement === 'split' && devices.length !== 2) {
    throw new ConfigError(
      `Cannot split over ${truncate(devices.join(','))}: expected two devices, one for each tower; choose them with --devices, the same one twice puts both towers on it`,
    );
  }
  // A config of two devices serves `single` too, which uses the first.
  const missing = devices.slice(0, placement === 'single' ? 1 : 2).find((name) => !have.includes(name));
  if (missing === undefined) return;
  const hint = missing.startsWith('GPU') ? '; nvidia-smi tells whether the driver sees the GPU' : '';
  throw new ConfigError(
    `Cannot use the device ${truncate(missing)}: TensorFlow has ${have.join(', ')} here; choose among these with --devices${hint}`,
  );
}
