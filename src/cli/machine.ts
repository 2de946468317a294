/** What the machine has, for the config. */
import { type Machine, tableOf } from '../config/config.js';
import { opThreads } from '../config/devices.js';
import type { Layer } from '../config/layers.js';
import type { Services } from './services.js';

/**
 * Looks for devices and data. That loads TensorFlow, which has to be told now with how many threads a run of those
 * settings is to go.
 * @throws SetupError without a TensorFlow library.
 */
export async function lookAround(services: Services, layers: readonly Layer[]): Promise<Machine> {
  const intraOpThreads = opThreads(tableOf(layers));
  const devices = (await services.listDevices({ intraOpThreads })).map((device) => device.name);
  const [fashionMnist, classesOf] = [await services.hasFashionMnist(), await services.countClasses()];
  return { devices, fashionMnist, classesOf, now: services.now() };
}
