/** The plans of docs/scaling.md, which are predicted and not measured. */
import { resolveConfig } from '../../src/config/config.js';
import { buildNet, type NetOptions, parametersOf, volume } from '../../src/model/net.js';
import { TABLES } from '../../src/model/tables.js';
import { limitOf } from '../../src/plan/limit.js';
import { placesOf } from '../../src/plan/places.js';
import { planOf } from '../../src/plan/plan.js';
import type { Plan } from '../../src/plan/predict.js';
import { assumedRates } from '../../src/plan/rates-file.js';
import type { Computed } from './tools/figure.js';
import { markdownTable, percent } from './tools/markdown.js';

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
    ...{ preset: 'imagenet', placement, batchSize, exchange: { transport: 'device' } },
    data: { source: 'ImageNet' },
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
const limit = (plan: Plan) => PART[limitOf(plan).part];

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
  return markdownTable(header, [row('one GPU', '', one), local, ...rows]);
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
  return markdownTable(['images in a step', 'split over both', 'whole net on each', 'one weird trick'], rows);
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
  return markdownTable(names, rows);
}

/** The conclusions that have numbers. */
function follows(): string {
  const [one, both] = [predicted({ devices: ['GPU:0'], placement: 'single' }), predicted({ devices: ONE_BOX })];
  const apart = predicted({ devices: TWO_BOXES, gbps: 10 });
  const { inputSize, inputChannels, classes } = TABLES.original;
  const options = { table: 'original', width: 1, inputSize, inputChannels, classes, init: 'table', dropout: true };
  const parameters = parametersOf(buildNet(options as NetOptions));
  const count = (some: typeof parameters) => some.reduce((total, { shape }) => total + volume(shape), 0);
  const dense = count(parameters.filter(({ layer }) => layer.startsWith('fc'))) / count(parameters);
  const imagesMs = (128 * inputSize ** 2 * inputChannels * 8) / 1e7;
  return [
    `- **Within a box, split**: two GPUs of one machine are ${(one.stepMs / both.stepMs).toFixed(1)} times as fast as one.`,
    `- **Between boxes nothing of this net scales by 10 Gbit/s.** One GPU computes 128 images in ${one.stepMs.toFixed(0)} ms; split over two boxes they take ${apart.stepMs.toFixed(0)} ms at 10 Gbit/s, ${imagesMs.toFixed(0)} of them for the images, a byte for each grey level. Servers get their images from the command's machine, at each step, and it has one connection. At 100 Gbit/s the runtime's own rate takes the link's place.`,
    `- **Model parallelism pays with small batches, data parallelism with large ones**, as the table of images in a step shows. Krizhevsky's mixture is better than both with small ones, because ${percent(dense)} of the parameters are in dense layers, and most of the computing is in convolutions.`,
  ].join('\n');
}

export const scaling: Computed = {
  name: 'scaling',
  blocks: {
    'two-boxes': twoBoxes,
    batches,
    'pairs-at-10': () => pairs(10),
    'pairs-at-100': () => pairs(100),
    follows,
  },
};
