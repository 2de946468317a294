/** Plans against measured steps: on this machine's devices, and on servers in network namespaces with limited links. */
import { loadavg } from 'node:os';
import { table } from '../../src/cli/format.js';
import { median } from '../../src/numbers.js';
import { placesOf } from '../../src/plan/places.js';
import { type Planned, planOf } from '../../src/plan/plan.js';
import type { Rates, RemoteCost } from '../../src/plan/rates.js';
import { remoteCost, type SmallSteps } from '../../src/train/plan/remote-costs.js';
import { noNetwork } from '../../test/network.js';
import { configOf, openServers, type Runner, runHere } from './plan-jobs.js';
import type { MeasuredLink } from './plan-link.js';
import { save } from './report.js';

/** What is planned and measured. */
interface Setting {
  name: string;
  values: Record<string, unknown>;
  /** Between three machines: the command's, and one for each tower. Without it, on the devices of this one. */
  link?: { mbit: number; roundTripMs: number };
  /** Pairs of towers. Default 1. */
  replicas?: number;
}

const HALF = { net: { width: 0.5 } };
const split = (transport: 'msgpack' | 'device') => ({ placement: 'split', exchange: { transport } });

const LOCAL: readonly Setting[] = [
  { name: 'mini, single', values: { placement: 'single' } },
  { name: 'mini, msgpack', values: split('msgpack') },
  { name: 'half width, device', values: { ...HALF, ...split('device') } },
  { name: 'mini, batch 256, msgpack', values: { ...split('msgpack'), batchSize: 256 } },
  {
    name: 'mini, 2 pairs, msgpack',
    values: { ...split('msgpack'), replicas: 2, devices: ['CPU:0', 'CPU:1', 'CPU:2', 'CPU:3'] },
    replicas: 2,
  },
];

function remote(
  mbit: number,
  roundTripMs: number,
  transport: 'msgpack' | 'device',
  more: { net?: object; batchSize?: number; replicas?: number } = {},
): Setting {
  const { net, batchSize, replicas = 1 } = more;
  const extra = [...(batchSize ? [`batch ${batchSize}`] : []), ...(replicas > 1 ? [`${replicas} pairs`] : [])];
  return {
    name: [net ? 'half width' : 'mini', ...extra, transport].join(', '),
    values: { ...split(transport), ...more },
    link: { mbit, roundTripMs },
    replicas,
  };
}

const REMOTE: readonly Setting[] = [
  remote(1000, 0, 'device'),
  remote(1000, 0, 'msgpack'),
  remote(100, 0, 'device'),
  remote(100, 0, 'msgpack'),
  remote(1000, 10, 'device'),
  remote(200, 4, 'device', { batchSize: 256 }),
  remote(200, 0, 'device', { ...HALF, batchSize: 128 }),
  remote(200, 4, 'msgpack', HALF),
  remote(1000, 40, 'device', HALF),
];

export interface PlanBench {
  rounds: number;
  where: 'local' | 'remote' | 'all';
  name?: string | undefined;
}

/** Measures and plans each setting in turn, so many times; the medians count. */
export async function benchPlan({ rounds, where, name }: PlanBench): Promise<void> {
  const impossible = where === 'local' ? false : noNetwork();
  if (impossible) console.log(`without servers: ${impossible}`);
  const settings = [...(where === 'remote' ? [] : LOCAL), ...(where === 'local' || impossible ? [] : REMOTE)];
  const servers = settings.some(({ link }) => link) ? await openServers() : undefined;
  const found = settings.map((setting) => ({ setting, planned: [] as number[], measured: [] as number[] }));
  try {
    for (let round = 0; round < rounds; round++) {
      const calibrated = new Map<string, Rates>();
      let remoteCosts: RemoteCost | undefined;
      for (const { setting, planned, measured } of found) {
        const { values, link } = setting;
        const key = JSON.stringify([values.net, values.batchSize]);
        // On this machine right before each measurement; links need it less.
        const known = link && calibrated.get(key);
        const rates =
          known ??
          ((await runHere({
            job: 'calibrate',
            values: { ...values, replicas: 1, devices: ['CPU:0', 'CPU:1'] },
          })) as Rates);
        calibrated.set(key, rates);
        const run: Runner = link ? servers!.run : runHere;
        const devices = servers?.devices.slice(0, 2 * (setting.replicas ?? 1)) ?? [];
        if (link && !remoteCosts) {
          const job = { job: 'remote', values: { devices: devices.slice(0, 2) } } as const;
          await servers!.setLink(0, 0);
          remoteCosts = remoteCost((await run(job)) as SmallSteps);
          console.log(remoteCosts);
        }
        const found = link && (await servers!.setLink(link.mbit, link.roundTripMs));
        const placed = link ? { ...values, devices } : values;
        const times = (await run({ job: 'measure', values: placed })) as number[];
        const plan = planOf(
          plannedOf(setting, remoteCosts ? { ...rates, remote: remoteCosts } : rates, devices, found),
        );
        planned.push(plan.stepMs);
        measured.push(median(times));
        const both = `planned ${planned.at(-1)!.toFixed(1)}, measured ${measured.at(-1)!.toFixed(1)} ms`;
        console.log(`${setting.name}, ${linkText(setting)}: ${both}`, found ?? '');
      }
    }
  } finally {
    await servers?.close();
  }
  const rows = found.map(({ setting, planned, measured }) => {
    const [plannedMs, measuredMs] = [median(planned), median(measured)];
    const difference = plannedMs / measuredMs - 1;
    return { name: setting.name, link: linkText(setting), plannedMs, measuredMs, difference, planned, measured };
  });
  const cells = rows.map(({ plannedMs, measuredMs, difference, ...each }) => [
    ...[each.name, each.link, plannedMs.toFixed(1), measuredMs.toFixed(1)],
    `${difference >= 0 ? '+' : ''}${(100 * difference).toFixed(0)} %`,
  ]);
  const header = ['setting', 'link', 'planned ms', 'measured ms', 'difference'];
  for (const line of table(header, cells)) console.log(line);
  save(name, { rounds, load: loadavg()[1], rows });
}

function linkText({ link }: Setting): string {
  return link ? `${link.mbit} Mbit/s, ${link.roundTripMs} ms` : 'none';
}

function plannedOf(
  { values, replicas = 1 }: Setting,
  rates: Rates,
  servers: readonly string[],
  link: MeasuredLink | undefined,
): Planned {
  const config = configOf({ ...values, replicas: 1, devices: ['CPU:0', 'CPU:1'] });
  const isSplit = config.placement === 'split';
  const devices = link ? servers : ((values.devices as string[] | undefined) ?? config.devices);
  return {
    ...{ config, replicas, rates },
    places: placesOf(isSplit ? devices : devices.slice(0, 1), replicas, isSplit ? 2 : 1),
    link: link && { ...link, gbps: link.bytesPerMs / 125_000 },
    sharedProcessors: link !== undefined,
  };
}
