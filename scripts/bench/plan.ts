/** Plans against measured steps: on this machine's devices, and on servers in namespaces with limited links. */
import { fork } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { table } from '../../src/cli/format.js';
import { type Config, resolveConfig } from '../../src/config/config.js';
import { placesOf } from '../../src/plan/places.js';
import { planOf } from '../../src/plan/plan.js';
import type { Rates } from '../../src/plan/rates.js';
import { stepOnce, withTeam } from '../../src/train/accept/steps.js';
import { calibrate } from '../../src/train/plan/calibrate.js';
import { isEntry } from '../trainer.js';
import { median, save } from './report.js';

/** What is planned and measured. */
interface Setting {
  name: string;
  values: Record<string, unknown>;
}

const HALF = { net: { width: 0.5 } };
const split = (transport: 'msgpack' | 'device') => ({ placement: 'split', exchange: { transport } });

/** On the two CPU devices of this machine. */
const LOCAL: readonly Setting[] = [
  { name: 'mini, single', values: { placement: 'single' } },
  { name: 'mini, split, msgpack', values: split('msgpack') },
  { name: 'mini, split, device', values: split('device') },
  { name: 'mini, split, msgpack, batch 256', values: { ...split('msgpack'), batchSize: 256 } },
  { name: 'half width, single', values: { ...HALF, placement: 'single' } },
  { name: 'half width, split, msgpack', values: { ...HALF, ...split('msgpack') } },
  { name: 'half width, split, device', values: { ...HALF, ...split('device') } },
  { name: 'half width, split, device, batch 256', values: { ...HALF, ...split('device'), batchSize: 256 } },
];

const SECONDS = 5;
const WARM_UP = 10;
const LEAST_STEPS = 12;

/** Measures and plans each setting in turn, so many times; the medians count. */
export async function benchPlan(rounds: number, name?: string): Promise<void> {
  const found = LOCAL.map((setting) => ({ setting, planned: [] as number[], measured: [] as number[] }));
  for (let round = 0; round < rounds; round++) {
    for (const { setting, planned, measured } of found) {
      const rates = (await inProcess({ job: 'calibrate', values: setting.values })) as Rates;
      const times = (await inProcess({ job: 'measure', values: setting.values })) as number[];
      planned.push(planOf(plannedOf(setting, rates)).stepMs);
      measured.push(median(times));
      console.log(`${setting.name}: planned ${planned.at(-1)!.toFixed(1)}, measured ${measured.at(-1)!.toFixed(1)} ms`);
    }
  }
  const rows = found.map(({ setting, planned, measured }) => {
    const [plannedMs, measuredMs] = [median(planned), median(measured)];
    return { name: setting.name, plannedMs, measuredMs, difference: plannedMs / measuredMs - 1, planned, measured };
  });
  const cells = rows.map(({ name, plannedMs, measuredMs, difference }) => [
    ...[name, plannedMs.toFixed(1), measuredMs.toFixed(1)],
    `${difference >= 0 ? '+' : ''}${(100 * difference).toFixed(0)} %`,
  ]);
  for (const line of table(['setting', 'planned ms', 'measured ms', 'difference'], cells)) console.log(line);
  save(name, { rounds, rows });
}

function plannedOf({ values }: Setting, rates: Rates) {
  const config = configOf(values);
  const devices = config.placement === 'split' ? config.devices : config.devices.slice(0, 1);
  return {
    config,
    replicas: 1,
    places: placesOf(devices, 1, config.placement === 'split' ? 2 : 1),
    link: undefined,
    rates,
  };
}

function configOf(values: Record<string, unknown>): Config {
  const machine = { devices: ['CPU:0', 'CPU:1'], fashionMnist: false, now: new Date() };
  return resolveConfig([{ values: { preset: 'mini', devices: machine.devices } }, { values }], machine).config;
}

interface Job {
  job: 'calibrate' | 'measure';
  values: Record<string, unknown>;
}

/** In a process of its own, as TensorFlow has one context per process. */
async function inProcess(job: Job): Promise<unknown> {
  const child = fork(fileURLToPath(import.meta.url), [JSON.stringify(job)]);
  const ended = once(child, 'exit').then(([code]) => Promise.reject(new Error(`${job.job} ended with ${code}`)));
  const answer = once(child, 'message').then(([message]) => message as unknown);
  try {
    return await Promise.race([answer, ended]);
  } finally {
    ended.catch(() => {}); // the end is expected
    child.kill();
  }
}

async function measure(config: Config): Promise<number[]> {
  return await withTeam(config, async (team) => {
    const times: number[] = [];
    let started = performance.now();
    for (let step = 1; ; step++) {
      const begun = performance.now();
      await stepOnce(team, config, step);
      const now = performance.now();
      if (step <= WARM_UP) started = now;
      else times.push(now - begun);
      if (times.length >= LEAST_STEPS && now - started > 1000 * SECONDS) return times;
    }
  });
}

if (isEntry(import.meta.url)) {
  const { job, values } = JSON.parse(process.argv[2]!) as Job;
  const config = configOf(values);
  process.send!(job === 'calibrate' ? await calibrate(config, 'CPU') : await measure(config));
}
