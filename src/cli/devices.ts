/** `devices`: lists TensorFlow's devices, also those of servers, and warns on stderr if a GPU is not among them. */
import { serversIn } from '../config/config.js';
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
  if (options.json) services.stdout.print(JSON.stringify(devices));
  else {
    const rows = devices.map(({ name, type, memoryBytes, fullName }) => {
      return [name, type, Math.round(memoryBytes / 2 ** 20), fullName];
    });
    services.stdout.print(...table(['device', 'type', 'memory, MiB', 'full name'], rows));
  }
  const warning = await gpuWarning(services, { devices: own.map(({ name }) => name) }, layers);
  if (warning !== undefined) services.stderr.print(`warning: ${warning}`);
  return 0;
}
