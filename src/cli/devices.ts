/** `devices`: what TensorFlow has here, and on stderr why a card is not among it. */
import { table } from './format.js';
import { gpuWarning } from './gpu-warning.js';
import type { Services } from './services.js';

/** @throws SetupError without a TensorFlow library. */
export async function devicesCommand({ json }: { json?: boolean }, services: Services): Promise<number> {
  const devices = await services.listDevices();
  const lines = json
    ? [JSON.stringify(devices)]
    : table(
        ['device', 'type', 'memory, MiB', 'full name'],
        devices.map(({ name, type, memoryBytes, fullName }) => [
          name,
          type,
          Math.round(memoryBytes / 2 ** 20),
          fullName,
        ]),
      );
  for (const line of lines) services.stdout.write(`${line}\n`);
  const warning = await gpuWarning(
    services,
    devices.map(({ name }) => name),
  );
  if (warning !== undefined) services.stderr.write(`warning: ${warning}\n`);
  return 0;
}
