/** What the machine has, the settings of a run on it, and warnings about its GPUs. */
import { existsSync } from 'node:fs';
import { restrictCoordinator } from '../cluster/cluster.js';
import { devicesOf, type Machine, type Resolved, resolveConfig, serversIn, tableOf } from '../config/config.js';
import { anySets, type ConfigLayer, lastValue } from '../config/layers.js';
import { isDuration } from '../config/schema.js';
import { gpuTrouble } from '../native/install/gpu-support.js';
import { contextOptions, settingsNames } from '../train/context-options.js';
import { untilThere } from '../train/until-there.js';
import type { Services } from './services.js';
import { announce } from './silence.js';

export const LOADING = 'loading TensorFlow';

/**
 * Composes the settings of a run on this machine. This loads TensorFlow, whose context needs the number of threads and the
 * card to split from the settings.
 * @throws SetupError without a TensorFlow library; ConfigError as `resolveConfig`, and for half a card that cannot be had; ServerError for
 * a server that cannot be used.
 */
export async function resolveHere(
  services: Services,
  layers: readonly ConfigLayer[],
  { needsData = true, quiet = false }: { needsData?: boolean; quiet?: boolean } = {},
): Promise<Resolved & { machine: Machine }> {
  if (!quiet) announce(services, LOADING);
  const named = devicesOf(layers);
  const waitForServers = lastValue(layers, 'waitForServers');
  const waiting = {
    waitForServers: isDuration(waitForServers) ? waitForServers : null,
    note: (text: string) => services.stderr.print(text),
  };
  const find = () => services.findCluster({ devices: named, ...serversIn(layers) });
  const cluster = await untilThere(find, waiting);
  const options = contextOptions(tableOf(layers), named, cluster);
  const devices = settingsNames(await services.listDevices(options), options);
  const warning = cluster && (await restrictCoordinator(cluster));
  const [fashionMnist, classesOf] = [await services.hasFashionMnist(), await services.countClasses()];
  const { isCifarData } = await import('../data/index.js');
  const hasTestImages = await services.hasTestImages();
  // Of other data, only a folder of images has classes of its own. What else exists is in IDX files.
  const hasFiles = (source: string) =>
    !isCifarData(source) && (classesOf(source) !== undefined || (existsSync(source) ? false : undefined));
  const machine = { devices, fashionMnist, classesOf, hasFiles, hasTestImages, now: services.now() };
  const resolved = resolveConfig(layers, machine, needsData);
  const notes = warning === undefined ? resolved.notes : [...resolved.notes, `warning: ${warning}`];
  return { ...resolved, notes, machine };
}

/**
 * Explains why TensorFlow does not use the machine's GPUs, or not well. Returns undefined if there are none, if TensorFlow
 * has them, if `CUDA_VISIBLE_DEVICES` hides them, or if a layer names devices or servers.
 */
export async function gpuWarning(
  services: Services,
  { devices }: Pick<Machine, 'devices'>,
  layers: readonly ConfigLayer[] = [],
): Promise<string | undefined> {
  if (anySets(layers, 'devices') || serversIn(layers).servers.length > 0) return undefined;
  const facts = await services.examineGpus(devices);
  const trouble = facts && gpuTrouble(facts);
  if (trouble === undefined || facts!.gpus > 0) return trouble;
  const [card] = [...facts!.driver.cards, ...facts!.nvidia.cards];
  return `TensorFlow has no GPU, though there is an NVIDIA card${card ? ` (${card.name})` : ''}, so everything runs on the CPU: ${trouble}; CUDA_VISIBLE_DEVICES=-1 hides the card and stops this warning`;
}
