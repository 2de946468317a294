/** What the machine has, for the config. */
import type { Machine } from '../config/config.js';
import type { Services } from './services.js';

/** Looks for devices (which loads TensorFlow) and data. @throws SetupError without a TensorFlow library. */
export async function lookAround(services: Services): Promise<Machine> {
  const devices = (await services.listDevices()).map((device) => device.name);
  const [fashionMnist, classesOf] = [await services.hasFashionMnist(), await services.countClasses()];
  return { devices, fashionMnist, classesOf, now: services.now() };
}
