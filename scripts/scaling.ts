/** Writes the tables of docs/scaling.md from plans, and from benchmarks/plan.json. `node dist/scripts/scaling.js` */
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { resolveConfig } from '../src/config/config.js';
import { limitOf } from '../src/plan/limit.js';
import { placesOf } from '../src/plan/places.js';
import { planOf } from '../src/plan/plan.js';
import type { Plan } from '../src/plan/predict.js';
import { assumedRates } from '../src/plan/rates-file.js';
import { isEntry } from './trainer.js';

const file = (name: string) => fileURLToPath(new URL(`../../${name}`, import.meta.url));
const PAGE = file('docs/scaling.md');
const CHECKED = file('benchmarks/plan.json');

/** Of the tables: an A100 has 19,500 GFLOP/s in float32; 60 % of it. The page says so. */
const GFLOPS = 11_700;
const ROUND_TRIP_MS = 0.2;

interface Asked {
  devices: readonly string[];
  gbps?: number;
  replicas?: number;
  batchSize?: number;
  placement?: 'split' | 'single';
  average?: 'copies' | 'collective';
  splitDense?: boolean;
}

/** What `plan` predicts with these flags, and `--net original --exchange device`. */
function predicted({ devices, gbps, replicas = 1, batchSize = 128, placement = 'split', ...rest }: Asked): Plan {
  const values = {
    ...{ preset: 'fashion', placement, batchSize, net: { classes: 1000 } },
    exchange: { transport: 'device' },
    data: { source: 'embedded' },
  };
  const machine = { devices: ['CPU:0', 'CPU:1'], fashionMnist: true, now: new Date(0) };
  const { config } = resolveConfig([{ values }], machine);
  return planOf({
    config: { ...config, average: rest.average ?? 'copies' },
    ...{ replicas, rates: assumedRates(GFLOPS, machine.now) },
    places: placesOf(devices, replicas, placement === 'split' ? 2 : 1),
    link: gbps === undefined ? undefined : { gbps, roundTripMs: ROUND_TRIP_MS },
    ...(rest.splitDense && { splitDense: true }),
  });
}

const ONE_BOX = ['GPU:0', 'GPU:1'];
const TWO_BOXES = ['GPU:0', 'b:2222/GPU:0'];
const GBPS = [1, 10, 100];
const PART = {
  compute: 'computing',
  exchange: 'exchange',
  images: 'images',
  average: 'average',
  host: 'host',
  wait: 'waiting',
};

const rate = ({ imagesPerSecond }: Plan) => Math.round(imagesPerSecond).toLocaleString('en-US');
const percent = (share: number) => `${Math.round(100 * share)} %`;
const limit = (plan: Plan) => PART[limitOf(plan).part];

function lines(header: readonly string[], rows: readonly (readonly (string | number)[])[]): string {
  const line = (cells: readonly (string | number)[]) => `| ${cells.join(' | ')} |`;
  return [line(header), line(header.map(() => '---')), ...rows.map(line)].join('\n');
}

function twoBoxes(): string {
  const one = predicted({ devices: ['GPU:0'], placement: 'single' });
  const row = (name: string, link: string, plan: Plan) => {
    return [name, link, plan.stepMs.toFixed(1), rate(plan), percent(plan.speedup / plan.devices), limit(plan)];
  };
  const rows = GBPS.flatMap((gbps) => {
    const data = { devices: ['GPU:0', 'b:2222/GPU:0'], placement: 'single', replicas: 2, gbps } as const;
    return [
      row('split over both', `${gbps}`, predicted({ devices: TWO_BOXES, gbps })),
      row('whole net on each', `${gbps}`, predicted(data)),
      row('one weird trick', `${gbps}`, predicted({ ...data, splitDense: true })),
    ];
  });
  const local = row('split in one box', '', predicted({ devices: ONE_BOX }));
  const header = ['how', 'Gbit/s', 'step, ms', 'images/s', 'efficiency', 'what takes most'];
  return lines(header, [row('one GPU', '', one), local, ...rows]);
}

function batches(): string {
  const gbps = 10;
  const rows = [32, 128, 512, 2048].map((batchSize) => {
    const split = predicted({ devices: TWO_BOXES, gbps, batchSize });
    // The same images in a step: half of them in each box.
    const half = { placement: 'single', replicas: 2, batchSize: batchSize / 2 } as const;
    const data = predicted({ devices: TWO_BOXES, gbps, ...half });
    const trick = predicted({ devices: TWO_BOXES, gbps, ...half, splitDense: true });
    return [batchSize, rate(split), rate(data), rate(trick)];
  });
  return lines(['images in a step', 'split over both', 'whole net on each', 'one weird trick'], rows);
}

function pairs(gbps: number): string {
  const rows = [1, 2, 4, 8, 16, 32, 64].map((replicas) => {
    const all = (['copies', 'collective'] as const).map((average) => {
      return predicted({ devices: ONE_BOX, replicas, gbps, average });
    });
    const [copies, collective] = all as [Plan, Plan];
    const boxes = Array.from({ length: replicas }, (_, i) => (i === 0 ? '' : `box${i}:2222/`));
    const devices = boxes.flatMap((box) => [`${box}GPU:0`, `${box}GPU:1`]);
    const whole = { devices, placement: 'single', gbps, replicas: replicas * 2, average: 'collective' } as const;
    const data = predicted(whole);
    const trick = predicted({ ...whole, splitDense: true });
    const efficiency = percent(collective.replicaEfficiency);
    return [replicas, rate(copies), rate(collective), efficiency, limit(collective), rate(data), rate(trick)];
  });
  const names = ['pairs', 'copies', 'collective', 'of K pairs', 'what takes most', 'whole nets', 'one weird trick'];
  return lines(names, rows);
}

interface Checked {
  date: string;
  cpu: string;
  cores: number;
  rounds: number;
  /** The load average at the end: processes that wanted a core. */
  load: number;
  rows: { name: string; link: string; plannedMs: number; measuredMs: number; difference: number }[];
}

function checked(): string {
  if (!existsSync(CHECKED)) return '';
  const { date, cpu, cores, rounds, load, rows } = JSON.parse(readFileSync(CHECKED, 'utf8')) as Checked;
  const cells = rows.map(({ name, link, plannedMs, measuredMs, difference }) => {
    const sign = difference >= 0 ? '+' : '';
    return [name, link, plannedMs.toFixed(1), measuredMs.toFixed(1), `${sign}${Math.round(100 * difference)} %`];
  });
  const header = ['setting', 'link', 'planned, ms', 'measured, ms', 'difference'];
  return `${cpu}, ${cores} cores, ${date.slice(0, 10)}; rounds: ${rounds}; load average at the end: ${Math.round(load)}.\n\n${lines(header, cells)}`;
}

const TABLES: Record<string, () => string> = {
  'two boxes': twoBoxes,
  batches,
  'pairs at 10 Gbit/s': () => pairs(10),
  'pairs at 100 Gbit/s': () => pairs(100),
  checked,
};

/** The page with its tables as the program makes them. */
export function scalingPage(text = readFileSync(PAGE, 'utf8')): string {
  return Object.entries(TABLES).reduce((page, [name, make]) => {
    const part = new RegExp(`(<!-- table: ${name} -->\\n)[\\s\\S]*?(<!-- end -->)`);
    if (!part.test(page)) throw new Error(`docs/scaling.md has no place for the table ${name}`);
    return page.replace(part, (_, start: string, end: string) => `${start}\n${make()}\n\n${end}`);
  }, text);
}

if (isEntry(import.meta.url)) writeFileSync(PAGE, scalingPage());
