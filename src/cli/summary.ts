/** `summary`: shows the layers of a net, and what they cost. Loads no TensorFlow. */
import type { Config } from '../config/config.js';
import { shortName } from '../config/devices.js';
import { buildNet, isOneColumn, type Net } from '../model/net.js';
import { type PerTower, type Row, shapeText, summarize, totalsOf, towersPicture } from '../model/summary.js';
import { count } from '../numbers.js';
import { table } from './format.js';
import { resolveNet } from './resolve-net.js';
import type { Input, Services } from './services.js';

/**
 * Prints the net of a preset if the flags name one, else the table at full size, as the flags change it.
 * @throws ConfigError for an invalid flag or geometry.
 */
export async function run(
  { flags, options: { json } }: Input<{ json?: boolean }>,
  { stdout, stderr, now }: Services,
): Promise<number> {
  // TensorFlow is not asked: the devices are those of the flags, or those of a machine without a GPU.
  const given = flags.values.devices as string[] | undefined;
  const devices = given?.map((name) => String(shortName(name))) ?? ['CPU:0', 'CPU:1'];
  const { config, idle } = resolveNet(flags, devices, now());
  stderr.print(...idle);
  const net = buildNet(config.net);
  const rows = summarize(net, config.batchSize);
  if (json) {
    const { batchSize, devices } = config;
    stdout.print(JSON.stringify({ net: config.net, batchSize, devices, layers: rows, totals: totalsOf(rows) }));
  } else stdout.print(...summaryLines(net, config, rows));
  return 0;
}

function summaryLines(net: Net, { batchSize, devices }: Config, rows: readonly Row[]): string[] {
  const { options } = net;
  const { parameters, multiplyAdds, sentBytes } = totalsOf(rows);
  const both = (value: PerTower) => value[0] + value[1];
  const sites = rows.flatMap(({ layer, exchange }) =>
    exchange ? [[layer, ...exchange.forward, ...exchange.backward]] : [],
  );
  return [
    `net ${options.table}: width ${options.width}, ${options.classes} classes; shapes are per tower, counts are sums over both towers, * marks an input that reads both towers`,
    '',
    ...table(
      ['layer', 'tower', 'input', 'output', 'parameters', 'multiply-adds'],
      rows.map(({ layer, towers, input, output, exchange, ...row }) => {
        const shapes = [`${shapeText(input)}${exchange ? '*' : ''}`, shapeText(output)];
        return [layer, towers.join('+'), ...shapes, both(row.parameters), both(row.multiplyAdds)];
      }),
    ),
    '',
    ...(sites.length === 0
      ? []
      : [
          `bytes exchanged in a step of ${count(batchSize)} images, float32 (0 forward: tower 0 sends in the forward pass)`,
          ...table(['layer', '0 forward', '1 forward', '0 backward', '1 backward'], sites),
          '',
        ]),
    ...table(
      ['tower', 'device', 'parameters', 'multiply-adds', 'bytes sent'],
      [
        ...([0, 1] as const).map((tower) => {
          const device = devices[tower] ?? devices[0]!;
          return [String(tower), device, parameters[tower], multiplyAdds[tower], sentBytes[tower]];
        }),
        ['both', '', both(parameters), both(multiplyAdds), both(sentBytes)],
      ].slice(0, isOneColumn(net) ? 1 : 3),
    ),
    '',
    ...towersPicture(net).split('\n'),
  ];
}
