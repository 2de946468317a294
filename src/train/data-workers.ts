/** How many threads prepare images, from what the towers leave of the cores. */
import { isLoopback } from '../address.js';
import type { Config } from '../config/config.js';
import { devicesNeeded, isGpu } from '../config/devices.js';
import { remoteDevice } from '../config/servers.js';
import { usableCores } from '../limits.js';
import { plural } from '../numbers.js';
import { MOST_DECODERS } from '../pool-threads.js';

/** How images are prepared. */
export interface DataWorkers {
  /** Data workers, which read, crop and change images. */
  workers: number;
  /** Images that are decoded at the same time, in threads of their own. */
  decoders: number;
  /** The cores that the process may use. */
  cores: number;
  /** Why so many: `8 cores, less one for each of 2 towers`. */
  reason: string;
}

/** More are not faster: a worker crops and changes the images of several decoders. */
const MOST_WORKERS = 16;
/** The towers' layers on a CPU take all cores, and many times as long as decoding: one core of so many is for images. */
const CPU_SHARE = 8;

/**
 * Chooses the number of data workers for `data.workers` `auto`: one for each core that the towers leave. A tower on a GPU
 * needs about one core, for its thread; towers on the CPU use all cores, so that few are left for images.
 * @param cores that the process may use.
 */
export function dataWorkersOf(
  config: Pick<Config, 'data' | 'devices' | 'placement' | 'replicas'>,
  cores = usableCores(),
): DataWorkers {
  const { workers: asked } = config.data;
  if (asked !== 'auto') return { workers: asked, decoders: Math.max(1, asked), cores, reason: 'as the settings say' };
  const towers = devicesNeeded(config);
  const isOnCpu = config.devices.slice(0, towers).some(usesCores);
  const free = Math.max(1, isOnCpu ? Math.floor(cores / CPU_SHARE) : cores - towers);
  const share = isOnCpu
    ? `one of ${CPU_SHARE} cores, as the towers on the CPU need the others`
    : `less one for each of ${plural(towers, 'tower')}`;
  const reason = `${plural(cores, 'core')}, ${share}`;
  return { workers: Math.min(MOST_WORKERS, free), decoders: Math.min(MOST_DECODERS, free), cores, reason };
}

/** Whether a tower's device computes on the cores of this machine. */
function usesCores(device: string): boolean {
  if (isGpu(device)) return false;
  const server = remoteDevice(device)?.server;
  return server === undefined || isLoopback(server.replace(/:\d+$/, '').replace(/^\[(.*)\]$/, '$1'));
}
