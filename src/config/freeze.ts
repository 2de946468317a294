/** Which layers `--freeze` means: names of layers, and ranges of them. */
import { ConfigError, truncate } from '../errors.js';
import { buildNet, isWeighted } from '../model/net.js';
import type { Config } from './schema.js';

/** The word for no layer, with which a branch trains layers that were frozen. */
const NONE = 'none';

/**
 * The settings with each frozen layer by its name, in the order of the net; without the setting if there is none.
 * @throws ConfigError for a layer that the net does not have, and if no layer is left to train.
 */
export function withFrozenLayers(config: Config): Config {
  const { freeze, ...optimizer } = config.optimizer;
  if (freeze === undefined) return config;
  const layers = buildNet(config.net)
    .layers.filter(isWeighted)
    .map(({ name }) => name);
  const frozen = new Set(
    freeze.flatMap((each) => (each === NONE && freeze.length === 1 ? [] : layersOf(each, config))),
  );
  if (layers.every((name) => frozen.has(name))) {
    throw new ConfigError(
      `Cannot freeze ${layers[0]}-${layers.at(-1)}: these are all layers with weights, expected at least one that is trained; leave one out of --freeze`,
    );
  }
  if (frozen.has(layers.at(-1)!) && config.newHead) {
    throw new ConfigError(
      `Cannot freeze ${layers.at(-1)}: --new-head draws its weights anew, so they have to be trained; leave it out of --freeze`,
    );
  }
  if (frozen.size === 0) return { ...config, optimizer };
  return { ...config, optimizer: { ...config.optimizer, freeze: layers.filter((name) => frozen.has(name)) } };

  /** The layers of a name, or of a range such as `conv1-conv5`. */
  function layersOf(text: string, { net }: Config): readonly string[] {
    const [first, last = first] = text.split('-').map((name) => layers.indexOf(name.trim()));
    if (text.split('-').length <= 2 && first! >= 0 && last! >= first!) return layers.slice(first, last! + 1);
    throw new ConfigError(
      `--freeze is ${truncate(JSON.stringify(text))}, expected layers of the net ${net.table} or ranges of them, such as ${layers[0]}-${layers[1]}, or ${NONE}; its layers are ${layers.join(', ')}`,
    );
  }
}
