/** `devices`: lists TensorFlow's devices, also those of servers, and warns on stderr if a GPU is not among them. */
import { serversIn } from '../config/config.js';
import { usableMemory } from '../limits.js';
import type { Device } from '../native/c/context.js';
import { table } from './format.js';
import { gpuWarning, LOADING } from './machine.js';
import type { Input, Services } from './services.js';
import { announce } from './silence.js';

/** @throws SetupError without a TensorFlow library; ServerError for a server that cannot be used. */
export async function run({ layers, options }: Input<{ json?: boolean }>, services: Services): Promise<number> {
  announce(services, LOADING);
  const own = await services.listDevices();
  const { servers, coordinator } = serversIn(layers);
  const devices = servers.length === 0 ? own : [...own, ...(await services.serverDevices(servers, coordinator))];
  if (options.json) {
    services.stdout.print(
      JSON.stringify(devices.map((device) => ({ ...device, memoryBytes: memoryOf(device) ?? null }))),
    );
  } else {
    const rows = devices.map((device) => [device.name, device.type, mebibytesOf(device), device.fullName]);
    services.stdout.print(...table(['device', 'type', 'memory, MiB', 'full name'], rows));
  }
  const warning = await gpuWarning(services, { devices: own.map(({ name }) => name) }, layers);
  if (warning !== undefined) services.stderr.print(`warning: ${warning}`);
  return 0;
}

/**
 * Bytes of memory that a device has. For a CPU TensorFlow says 256 MiB whatever the machine has; what counts is the memory that
 * this process may use. @returns undefined for the CPU of a server, which does not say it.
 */
function memoryOf({ type, memory, memoryBytes }: Pick<Device, 'type' | 'memory' | 'memoryBytes'>): number | undefined {
  if (type !== 'CPU') return memoryBytes;
  return memory === 'remote' ? undefined : usableMemory().total;
}

/** For a table; empty where it is not known. */
export function mebibytesOf(device: Parameters<typeof memoryOf>[0]): number | string {
  const bytes = memoryOf(device);
  return bytes === undefined ? '' : Math.round(bytes / 2 ** 20);
}
