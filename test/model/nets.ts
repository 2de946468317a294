/** Nets for tests. */
import { buildNet, type Net, type NetOptions, type Parameter } from '../../src/model/net.js';
import { TABLES, type TableName } from '../../src/model/tables.js';

/** A table with the given changes. */
export function netOf(table: TableName, changes: Partial<NetOptions> = {}): Net {
  const { inputSize, inputChannels, classes } = TABLES[table];
  return buildNet({ table, width: 1, inputSize, inputChannels, classes, init: 'table', dropout: true, ...changes });
}

/** How many numbers the parameters hold. */
export function countOf(parameters: readonly Parameter[]): number {
  return parameters.reduce((total, { shape }) => total + shape.reduce((product, size) => product * size, 1), 0);
}

export const TABLE_NAMES = Object.keys(TABLES) as TableName[];
