/** The sentence about a card that TensorFlow does not use, or not well. */

import { gpusOf } from '../config/devices.js';
import { type ConfigLayer, sets } from '../config/layers.js';
import { gpuTrouble } from '../native/install/gpu-support.js';
import type { Services } from './services.js';

/**
 * What is wrong with the machine's cards, as a warning; nothing where there are none, where TensorFlow has them, or where
 * `CUDA_VISIBLE_DEVICES` hides them.
 * @param devices names of those that TensorFlow has.
 */
export async function gpuWarning(services: Services, devices: readonly string[]): Promise<string | undefined> {
  const facts = await services.examineGpus(devices);
  const trouble = facts && gpuTrouble(facts);
  if (trouble === undefined) return undefined;
  if (facts!.gpus > 0) return trouble;
  const [card] = [...facts!.driver.cards, ...facts!.nvidia.cards];
  return `TensorFlow has no GPU, though there is an NVIDIA card${card ? ` (${card.name})` : ''}, so all runs on the CPU: ${trouble}; CUDA_VISIBLE_DEVICES=-1 hides the card, and ends this warning`;
}

/** Ends what began with {@link gpuWarning}: hours later nobody sees its first lines. */
export function gpuReminder(devices: readonly string[], warning: string | undefined): string | undefined {
  if (warning === undefined || gpusOf(devices).length > 0) return undefined;
  return 'all of this ran on the CPU, though there is an NVIDIA card; `alexnet-split doctor` says why, and what to do';
}

/** Writes {@link gpuWarning} to stderr, but to who asks for devices by name: they know what those are. */
export async function warnOfGpu(
  services: Services,
  layers: readonly ConfigLayer[],
  devices: readonly string[],
): Promise<void> {
  const warning = layers.some((layer) => sets(layer, 'devices')) ? undefined : await gpuWarning(services, devices);
  if (warning !== undefined) services.stderr.write(`warning: ${warning}\n`);
}
