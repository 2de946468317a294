/** Settings of small nets, for tests that run towers. */
import { type Config, resolveConfig } from '../../src/config/config.js';
import type { NetOptions } from '../../src/model/net.js';
import { listDevices } from '../../src/native/c/context.js';

/** The two towers' devices; test/fake-gpu/split.test.ts has others. */
export const DEVICES = (process.env.TEST_DEVICES ?? 'CPU:0,CPU:1').split(',') as [string, string];
/** Whether the towers compute on GPUs, which use other ops in part. */
export const ON_GPU = DEVICES[0].startsWith('GPU:');
/** The arguments for the whole net on one device. */
export const SINGLE = { placement: 'single', devices: [DEVICES[0]] } as const;

/** A config on {@link DEVICES}, or on the devices named. Without the check before the first step. */
export function smallConfig(values: Record<string, unknown> = {}): Config {
  const machine = { devices: listDevices().map(({ name }) => name), fashionMnist: false, now: new Date() };
  const small = { preset: 'mini', batchSize: 8, check: false, data: { workers: 0 } };
  return resolveConfig([{ values: small }, { values: { devices: DEVICES, ...values } }], machine).config;
}

/** A table that can be split. */
type SplitTable = Exclude<NetOptions['table'], 'one-gpu'>;

/** Each table at a size that runs fast. */
export const SMALL_NETS: Record<SplitTable, Record<string, unknown>> = {
  original: { table: 'original', width: 0.125, inputSize: 67, inputChannels: 3, init: 'he' },
  paper: { table: 'paper', width: 0.125, inputSize: 67, inputChannels: 3, init: 'he' },
  columns: { table: 'columns', width: 0.125, inputSize: 67, inputChannels: 3, init: 'he' },
  tutorial: { table: 'tutorial', width: 0.125, inputSize: 67, inputChannels: 1, init: 'xavier' },
  torchvision: { table: 'torchvision', width: 0.125, inputSize: 95, inputChannels: 3, init: 'he' },
  lenet: { table: 'lenet', width: 1, inputSize: 28, inputChannels: 1, init: 'xavier' },
  cifar: { table: 'cifar', width: 0.25, inputSize: 32, inputChannels: 3, init: 'he' },
};

/**
 * The settings of a small net with data to match. Images cross to the towers of `lenet` as grey levels, to the others as
 * their input, because the preset's are stretched. @param source other images than the preset's
 */
export function smallNet(table: SplitTable, source?: string): Record<string, unknown> {
  const net = SMALL_NETS[table];
  const mean = Array(net.inputChannels as number).fill(73);
  const size = table === 'lenet' ? { resize: 28 } : {};
  return { net, data: { mean, workers: 0, ...size, ...(source ? { source } : {}) } };
}
