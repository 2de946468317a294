/** Options of the process's TensorFlow context. Only the first context of a process is made with them. */
import { type FoundCluster, findCluster, restrictCoordinator } from '../cluster/cluster.js';
import { cpusFor, logicalPair, namesAfterSplit, opThreads, splitCard } from '../config/devices.js';
import { serversOf } from '../config/servers.js';
import { ConfigError } from '../errors.js';
import { usableCores } from '../limits.js';
import type { Cluster } from '../native/c/cluster.js';
import { type ContextOptions, type Device, openContext } from '../native/c/context.js';
import { logicalMiB } from '../native/install/nvidia-smi.js';

/** The MiB of a card's halves. Kept because the context, once made, occupies the memory that was free before. */
const shares = new Map<number, number>();

/** Where a run goes, as a `Config` has it. */
export interface Places {
  devices: readonly string[];
  servers?: readonly string[] | undefined;
  coordinator?: string | null | undefined;
}

/**
 * The cluster of the servers that devices are on, or without devices that the settings name; undefined without any.
 * @throws ServerError, ConfigError as `findCluster`.
 */
export async function clusterOf({ devices, servers = [], coordinator }: Places): Promise<FoundCluster | undefined> {
  const all = serversOf(servers, devices);
  if (all.length === 0) return undefined;
  splitCard(devices); // half a card beside a server's device is a usage error
  return await findCluster(all, coordinator);
}

/**
 * @param table the net's, which decides the number of threads.
 * @param devices in the settings' names; `GPU:0/1` is half of a card, which is split into two logical devices.
 * @throws ConfigError unless the devices are both halves of one card; SetupError if the card's memory is not known.
 */
export function contextOptions(table: unknown, devices: readonly string[], cluster?: Cluster): ContextOptions {
  const onCpus = devices.filter((name) => name.startsWith('CPU:')).length;
  const intraOpThreads = opThreads(table, usableCores(), Math.max(1, Math.floor(onCpus / 2)));
  const cpus = cpusFor(devices);
  const options = { intraOpThreads, ...(cpus > 2 && { cpus }), ...(cluster && { cluster }) };
  if (cluster) return options;
  const card = splitCard(devices);
  if (card === undefined) return options;
  const mib = shares.get(card) ?? logicalMiB(card);
  shares.set(card, mib);
  return { intraOpThreads, virtualGpuCard: card, virtualGpuMiB: [mib, mib] };
}

/**
 * Makes the process's context, connected to the servers.
 * @throws NativeError if it cannot connect; ConfigError if the context is there already and has not joined all of them.
 */
export function joinServers(options: ContextOptions, { servers }: Cluster): void {
  const { devices } = openContext(options);
  const missing = servers.find((server) => !devices.some(({ name }) => name.startsWith(`${server}/`)));
  if (missing === undefined) return;
  throw new ConfigError(
    `Cannot use the server ${missing}: this process has made its TensorFlow context without it, and TensorFlow connects once; use the servers first, or in another process`,
  );
}

/**
 * The options of a run's context, and its servers. If there are any, the context is made here, connected to them and closed
 * to others.
 * @throws as {@link clusterOf}, {@link contextOptions} and {@link joinServers}.
 */
export async function joinedOptions({
  net,
  ...places
}: Places & { net: { table: unknown } }): Promise<{ options: ContextOptions; cluster: FoundCluster | undefined }> {
  const cluster = await clusterOf(places);
  const options = contextOptions(net.table, places.devices, cluster);
  if (cluster) {
    joinServers(options, cluster);
    await restrictCoordinator(cluster);
  }
  return { options, cluster };
}

const MIB = 2 ** 20;

/** The settings' names of TensorFlow's devices. @throws ConfigError if TensorFlow has not split the card. */
export function settingsNames(
  devices: readonly Pick<Device, 'name' | 'memoryBytes'>[],
  options: ContextOptions,
): string[] {
  const names = devices.map(({ name }) => name);
  const { virtualGpuCard: card, virtualGpuMiB: mib } = options;
  if (card === undefined || !mib) return names;
  // If the card is not split, the next number may belong to another card.
  const isSplit = mib.every((each, i) =>
    devices.some(({ name, memoryBytes }) => name === `GPU:${card + i}` && Math.abs(memoryBytes / MIB - each) < 1),
  );
  if (isSplit) return namesAfterSplit(names, card);
  throw new ConfigError(
    `Cannot use the devices ${logicalPair(card)}: TensorFlow has ${names.join(', ')} here, and did not split GPU:${card} into logical devices of ${mib[0]} MiB each; check with nvidia-smi that the card is there and has that much free, or use it whole`,
  );
}
