/** `devices`: lists TensorFlow's devices, and warns on stderr if a GPU is not among them. */
import { table } from './format.js';
import { gpuWarning, LOADING } from './machine.js';
import type { Input, Services } from './services.js';
import { announce } from './silence.js';

/** @throws SetupError without a TensorFlow library. */
export async function run({ options }: Input<{ json?: boolean }>, services: Services): Promise<number> {
  announce(services, LOADING);
  const devices = await services.listDevices();
  if (options.json) services.stdout.print(JSON.stringify(devices));
  else {
    const rows = devices.map(({ name, type, memoryBytes, fullName }) => {
      return [name, type, Math.round(memoryBytes / 2 ** 20), fullName];
    });
    services.stdout.print(...table(['device', 'type', 'memory, MiB', 'full name'], rows));
  }
  const warning = await gpuWarning(services, { devices: devices.map(({ name }) => name) });
  if (warning !== undefined) services.stderr.print(`warning: ${warning}`);
  return 0;
}
