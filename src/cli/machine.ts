/** What the machine has, for the config. */
import { existsSync } from 'node:fs';
import { devicesOf, type Machine, tableOf } from '../config/config.js';
import type { ConfigLayer } from '../config/layers.js';
import { contextOptions, settingsNames } from '../train/context-options.js';
import type { Services } from './services.js';

/**
 * Looks for devices and data. That loads TensorFlow, which has to be told now with how many threads a run of those
 * settings is to go, and which card is to be split.
 * @throws SetupError without a TensorFlow library; ConfigError for half a card that is not to be had.
 */
export async function lookAround(services: Services, layers: readonly ConfigLayer[]): Promise<Machine> {
  const options = contextOptions(tableOf(layers), devicesOf(layers));
  const devices = await services.listDevices(options);
  const [fashionMnist, classesOf] = [await services.hasFashionMnist(), await services.countClasses()];
  // What has classes of its own is a folder of images; what is there besides has them in IDX files.
  const hasFiles = (source: string) => classesOf(source) !== undefined || (existsSync(source) ? false : undefined);
  return { devices: settingsNames(devices, options), fashionMnist, classesOf, hasFiles, now: services.now() };
}
