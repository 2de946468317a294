/** A plan as text. */
import { count, mebibytes } from '../numbers.js';
import { limitOf } from '../plan/limit.js';
import type { Planned } from '../plan/plan.js';
import type { Parts, Plan } from '../plan/predict.js';
import { table } from './format.js';

/** In the order of a step. */
const PARTS: readonly (keyof Parts)[] = ['compute', 'exchange', 'images', 'average', 'wait', 'host'];
const TRAFFIC = { exchange: 'activations and gradients', images: 'images', average: 'gradients to average' } as const;
/** Rows of traffic that are printed; more are summed up. */
const MOST_ROWS = 8;

export function planLines(planned: Planned, plan: Plan): string[] {
  return [...settingLines(planned, plan), '', ...resultLines(plan), '', ...towerLines(plan), ...trafficLines(plan)];
}

function settingLines({ config, replicas, places, link, rates, splitDense }: Planned, { sources }: Plan): string[] {
  const { net, batchSize, placement, exchange } = config;
  const how = splitDense
    ? 'the whole net on each device, its dense layers split over all'
    : placement === 'split'
      ? `split, exchange by ${exchange.transport} in ${exchange.dtype}`
      : 'the whole net on each device';
  const devices = (places[0] ?? []).map(({ name }) => name).join(', ');
  const day = rates.date.slice(0, 10);
  const origin = rates.assumed ? `assumed: ${rates.machine}` : `measured on ${rates.machine}, ${day}`;
  const estimated = {
    measured: '',
    scaled: '; scaled to this batch',
    'by kind': '; for this net estimated by kind of layer',
  };
  const worst = (['by kind', 'scaled', 'measured'] as const).find((each) => sources.includes(each)) ?? 'measured';
  return [
    `net ${net.table}: width ${net.width}, ${net.inputSize} pixels, ${net.classes} classes; ${how}`,
    `replicas: ${replicas} of ${count(batchSize)} images a step, on ${devices}${replicas > 1 ? ' and so on' : ''}`,
    `rates: ${origin}${rates.assumed ? '' : estimated[worst]}`,
    ...(link ? [`link: ${link.gbps} Gbit/s, ${link.roundTripMs} ms there and back`] : []),
  ];
}

function resultLines(plan: Plan): string[] {
  const { stepMs, imagesPerSecond, speedup, efficiency, replicaEfficiency, images, batchSize, devices } = plan;
  const percent = (share: number) => `${Math.round(100 * share)} %`;
  const replicas = images / batchSize;
  const against = [
    ...(devices > 1 ? [`${speedup.toFixed(2)} times one device (${percent(efficiency)} of ${devices})`] : []),
    ...(replicas > 1 ? [`${percent(replicaEfficiency)} of ${replicas} times one replica`] : []),
  ];
  return [
    [`step ${stepMs.toFixed(1)} ms, ${imagesPerSecond.toFixed(1)} images/s`, ...against].join(', '),
    limitOf(plan).text,
  ];
}

function towerLines({ towers }: Plan): string[] {
  const header = ['tower', 'device', ...PARTS.map((part) => `${part} ms`)];
  const times = towers.map(({ tower, device, parts }) => [
    ...[String(tower), device],
    ...PARTS.map((part) => parts[part].toFixed(1)),
  ]);
  const memory = towers.map(
    ({ tower, device, memory: { parameters, gradients, velocities, activations, ...rest } }) => [
      ...[String(tower), device, mebibytes(rest.total), mebibytes(parameters + gradients + velocities)],
      ...[mebibytes(activations), mebibytes(rest.images), mebibytes(rest.workspace)],
    ],
  );
  return [
    ...table(header, times),
    '',
    ...table(['tower', 'device', 'memory', 'parameters*', 'activations', 'images', 'workspace'], memory),
    '* with their gradients and velocities',
  ];
}

function trafficLines({ traffic }: Plan): string[] {
  if (traffic.length === 0) return [];
  const rows = traffic.map(({ from, to, kind, bytes }) => [
    from,
    to,
    TRAFFIC[kind as keyof typeof TRAFFIC],
    Math.round(bytes),
  ]);
  const shown = rows.slice(0, MOST_ROWS);
  const rest = traffic.slice(MOST_ROWS);
  const total = rest.reduce((sum, { bytes }) => sum + bytes, 0);
  const more = rest.length > 0 ? [['others', '', `${rest.length} more`, Math.round(total)]] : [];
  return ['', ...table(['from', 'to', 'what', 'bytes a step'], [...shown, ...more])];
}
