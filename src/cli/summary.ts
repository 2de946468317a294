/** `summary`: what a net is made of and costs. Loads no TensorFlow. */
import { resolveConfig } from '../config/config.js';
import { shortName } from '../config/devices.js';
import { type ConfigLayer, valueAt } from '../config/layers.js';
import { tableSettings } from '../config/presets.js';
import { buildNet, isOneColumn, type Net } from '../model/net.js';
import { towersPicture } from '../model/picture.js';
import { type PerTower, type Row, shapeText, summarize, type Totals, totalsOf } from '../model/summary.js';
import { TABLES, type TableName } from '../model/tables.js';
import { count, table } from './format.js';
import type { Services } from './services.js';

/**
 * Prints a net: a preset's when the flags name one, else the table as it was drawn up; then as the flags change it.
 * @throws ConfigError for a flag or a geometry that makes no net.
 */
export function summaryCommand(flags: ConfigLayer, { json }: { json?: boolean }, services: Services): number {
  const asked = valueAt(flags.values, ['net', 'table']) ?? 'original';
  const drawn = 'preset' in flags.values || !Object.hasOwn(TABLES, asked as string);
  const noData = { values: { data: { source: 'embedded' } } }; // no image is read
  const layers = [noData, ...(drawn ? [] : [{ values: tableSettings(asked as TableName) }]), flags];
  // Nobody asked TensorFlow: the devices are those of the flags, or the ones a machine without GPU would use.
  const devices = (flags.values.devices as string[] | undefined)?.map((name) => String(shortName(name))) ?? [
    'CPU:0',
    'CPU:1',
  ];
  const { config, idle } = resolveConfig(layers, { devices, fashionMnist: true, now: services.now() });
  for (const note of idle) services.stderr.write(`${note}\n`);
  const net = buildNet(config.net);
  const rows = summarize(net, config.batchSize);
  const totals = totalsOf(rows);
  if (json) {
    const value = { net: config.net, batchSize: config.batchSize, devices: config.devices, layers: rows, totals };
    services.stdout.write(`${JSON.stringify(value)}\n`);
    return 0;
  }
  for (const line of summaryLines(net, config.batchSize, config.devices, rows, totals))
    services.stdout.write(`${line}\n`);
  return 0;
}

function summaryLines(
  net: Net,
  batchSize: number,
  devices: readonly string[],
  rows: readonly Row[],
  totals: Totals,
): string[] {
  const { options } = net;
  const both = (value: PerTower) => value[0] + value[1];
  return [
    `net ${options.table}: width ${options.width}, ${options.classes} classes; shapes are of one tower, counts of all towers, an input marked * is of both`,
    '',
    ...table(
      ['layer', 'tower', 'input', 'output', 'parameters', 'multiply-adds'],
      rows.map((row) => [
        row.layer,
        row.towers.join('+'),
        `${shapeText(row.input)}${row.exchange ? '*' : ''}`,
        shapeText(row.output),
        both(row.parameters),
        both(row.multiplyAdds),
      ]),
    ),
    '',
    ...exchangeLines(rows, batchSize),
    ...table(
      ['tower', 'device', 'parameters', 'multiply-adds', 'sent bytes'],
      [
        ...([0, 1] as const).map((tower) => [
          String(tower),
          devices[tower] ?? devices[0]!,
          totals.parameters[tower],
          totals.multiplyAdds[tower],
          totals.sentBytes[tower],
        ]),
        ['both', '', both(totals.parameters), both(totals.multiplyAdds), both(totals.sentBytes)],
      ].slice(0, isOneColumn(net) ? 1 : 3),
    ),
    '',
    ...towersPicture(net).split('\n'),
  ];
}

/** What crosses; nothing of a net of one column. */
function exchangeLines(rows: readonly Row[], batchSize: number): string[] {
  const sites = rows.flatMap(({ layer, exchange }) =>
    exchange ? [[layer, ...exchange.forward, ...exchange.backward]] : [],
  );
  if (sites.length === 0) return [];
  return [
    `bytes exchanged in a step of ${count(batchSize)} images, float32, by the tower that sends`,
    ...table(['site', '0 forward', '1 forward', '0 backward', '1 backward'], sites),
    '',
  ];
}
