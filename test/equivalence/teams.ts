/** Settings of small nets, for tests that run towers. */
import { type Config, resolveConfig } from '../../src/config/config.js';
import type { NetOptions } from '../../src/model/net.js';
import { listDevices } from '../../src/native/c/context.js';

/** A config on two CPUs, or on the devices named. */
export function smallConfig(values: Record<string, unknown> = {}): Config {
  const machine = { devices: listDevices().map(({ name }) => name), fashionMnist: false, now: new Date() };
  const small = { preset: 'mini', batchSize: 8, data: { workers: 0 } };
  return resolveConfig([{ values: small }, { values: { devices: ['CPU:0', 'CPU:1'], ...values } }], machine).config;
}

/** A table that can be split. */
type SplitTable = Exclude<NetOptions['table'], 'one-gpu'>;

/** Each table at a size that runs in a moment. */
export const SMALL_NETS: Record<SplitTable, Record<string, unknown>> = {
  original: { table: 'original', width: 0.125, inputSize: 67, inputChannels: 3, init: 'he' },
  paper: { table: 'paper', width: 0.125, inputSize: 67, inputChannels: 3, init: 'he' },
  columns: { table: 'columns', width: 0.125, inputSize: 67, inputChannels: 3, init: 'he' },
  tutorial: { table: 'tutorial', width: 0.125, inputSize: 67, inputChannels: 1, init: 'xavier' },
  lenet: { table: 'lenet', width: 1, inputSize: 28, inputChannels: 1, init: 'xavier' },
};

/** The settings of a small net with data to match. */
export function smallNet(table: SplitTable): Record<string, unknown> {
  const net = SMALL_NETS[table];
  const mean = Array(net.inputChannels as number).fill(73);
  return { net, data: { mean, workers: 0 } };
}
