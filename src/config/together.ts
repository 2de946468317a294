/** Settings that are right each for itself and make no run together. */
import { ConfigError, truncate } from '../errors.js';
import { buildNet, isOneColumn, isWeighted } from '../model/net.js';
import type { Config } from './config.js';

/** @throws ConfigError for the first that does not fit the others. */
export function checkTogether(config: Config): void {
  checkExchange(config);
  checkCompile(config);
  checkData(config);
  checkPlacement(config);
  checkOwnRates(config);
}

function checkExchange({ exchange: { transport, dtype } }: Config): void {
  if (transport === 'msgpack' || dtype === 'float32') return;
  throw new ConfigError(
    `--exchange-dtype is ${dtype}, expected float32 with --exchange device, which sends tensors as they are; leave out one of the two`,
  );
}

/** @throws ConfigError for a net that does not fit, or that is one column and to be split. */
function checkPlacement({ placement, net }: Config): void {
  if (!isOneColumn(buildNet(net)) || placement === 'single') return;
  throw new ConfigError(
    `Cannot split the net "${net.table}": it is one column, for one device; take --placement single, or another --net`,
  );
}

/** @throws ConfigError where XLA would have to send and receive in the midst of a function, which it cannot. */
function checkCompile({ placement, compile }: Config): void {
  if (compile !== 'xla' || placement === 'single') return;
  throw new ConfigError(
    '--compile is xla, expected on or off with --placement split: XLA cannot exchange tensors within a function; take --compile on, or --placement single',
  );
}

/** A layer that the net does not have would go by the schedule in silence. */
function checkOwnRates({ net, optimizer: { ownRates = [] } }: Config): void {
  const layers: readonly string[] = buildNet(net)
    .layers.filter(isWeighted)
    .map(({ name }) => name);
  const wrong = ownRates.findIndex(({ layer }) => layer !== undefined && !layers.includes(layer));
  if (wrong === -1) return;
  throw new ConfigError(
    `optimizer.ownRates.${wrong}.layer is "${truncate(ownRates[wrong]!.layer ?? '')}", expected one of ${layers.join(', ')}`,
  );
}

function checkData({ data, net }: Config): void {
  if (data.resize < net.inputSize) {
    throw new ConfigError(
      `data.resize is ${data.resize}, expected at least the net's input of ${net.inputSize} pixels, which is cut out of it; set both`,
    );
  }
  if (data.mean.length !== net.inputChannels) {
    throw new ConfigError(
      `data.mean has length ${data.mean.length}, expected one grey level for each of the ${net.inputChannels} channels of net.inputChannels; set both`,
    );
  }
}
