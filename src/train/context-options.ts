/** What TensorFlow has to be told when the process's context is made: the first call decides, and no later one is heard. */
import { logicalPair, namesAfterSplit, opThreads, splitCard } from '../config/devices.js';
import { ConfigError } from '../errors.js';
import type { ContextOptions, Device } from '../native/c/context.js';
import { logicalMiB } from '../native/install/nvidia-smi.js';

/** Once the context is there its own devices take what was free. */
const shares = new Map<number, number>();

/**
 * Threads by the net's table, and the card that is split into two logical devices, if one is.
 * @param devices by the settings' names, `GPU:0/1`.
 * @throws ConfigError for devices that are not both halves of one card; SetupError when its memory is not known.
 */
export function contextOptions(table: unknown, devices: readonly string[]): ContextOptions {
  const intraOpThreads = opThreads(table);
  const card = splitCard(devices);
  if (card === undefined) return { intraOpThreads };
  const mib = shares.get(card) ?? logicalMiB(card);
  shares.set(card, mib);
  return { intraOpThreads, virtualGpuCard: card, virtualGpuMiB: [mib, mib] };
}

const MIB = 2 ** 20;

/**
 * The settings' names of TensorFlow's devices, whose context was made with those options.
 * @throws ConfigError when TensorFlow has not split the card.
 */
export function settingsNames(
  devices: readonly Pick<Device, 'name' | 'memoryBytes'>[],
  options: ContextOptions,
): string[] {
  const names = devices.map(({ name }) => name);
  const { virtualGpuCard: card, virtualGpuMiB: mib } = options;
  if (card === undefined || !mib) return names;
  // Where it does not split, the number after the card's may be that of another card.
  const isSplit = mib.every((each, i) =>
    devices.some(({ name, memoryBytes }) => name === `GPU:${card + i}` && Math.abs(memoryBytes / MIB - each) < 1),
  );
  if (isSplit) return namesAfterSplit(names, card);
  throw new ConfigError(
    `Cannot use the devices ${logicalPair(card)}: TensorFlow has ${names.join(', ')} here, and did not split GPU:${card} into logical devices of ${mib[0]} MiB each; check with nvidia-smi that the card is there and has that much free, or use it whole`,
  );
}
