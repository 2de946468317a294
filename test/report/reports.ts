/** Reports with numbers such as real runs have, made up by formulas. */
import type { EventOf } from '../../src/log.js';
import type { Curve, Group, Report, RunReport } from '../../src/report/model.js';
import { RUN_START } from '../events.js';

const STEPS = 942;
const LAYERS = ['conv1', 'pool1', 'conv2', 'pool2', 'conv3', 'conv4', 'conv5', 'pool5', 'fc6', 'fc7', 'fc8'];

/** A picture of one grey pixel. */
const PICTURE = 'iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAAAAAA6fptVAAAACklEQVR4nGNoAAAAggCBd81ytgAAAABJRU5ErkJggg==';

/** A number from 0 to 1 that looks random, and is always the same. */
function wobble(i: number): number {
  return (Math.sin(i * 12.9898) * 43758.5453) % 1 ** (2 ** 2);
}

function curve(value: (step: number) => number, spread: number): Curve {
  const step = Array.from({ length: 157 }, (_, i) => (i + 1) * 6);
  const mean = step.map((each) => value(each) * (1 + 0.05 * wobble(each)));
  return { step, mean, low: mean.map((each) => each * (1 - spread)), high: mean.map((each) => each * (1 + spread)) };
}

function activations(step: number): EventOf<'activations'> {
  const images = { layer: 'images', tower: 0, mean: 0, sd: 1, max: 2.02, zero: 0.001, signal: 0.9, units: 1 };
  const layers = LAYERS.flatMap((layer, i) =>
    [0, 1].map((tower) => ({
      ...{ layer, tower, mean: 0.4 + 0.02 * i, sd: 0.3 + 0.1 * i + (step > 0 ? 0.5 : 0) + 0.05 * tower, max: 9 },
      ...{ zero: i === 0 ? 0 : 0.4 + 0.03 * i, signal: 0.3, units: 24, ...(i > 0 && { dead: i % 3 }) },
    })),
  );
  return { event: 'activations', step, images: 128, layers: [images, ...layers] };
}

/** A step in which both towers compute 11 layers forward and backward, and exchange at three of them. */
export function trace(step: number): EventOf<'trace'> {
  const towers = [0, 1].map((tower) => {
    const spans: EventOf<'trace'>['towers'][number]['spans'] = [
      { name: 'wait for the batch', part: 'data', lane: 'thread', start_ms: 0, ms: 0.4 },
    ];
    let at = 0.5;
    const add = (layer: string, part: 'forward' | 'backward', ms: number) => {
      spans.push({ name: layer, part, layer, lane: 'function', start_ms: at, ms });
      at += ms;
      if (!['pool2', 'pool5', 'fc6'].includes(layer)) return;
      spans.push({ name: `send ${layer}`, part: 'exchange', layer, lane: 'thread', start_ms: at, ms: 0.5 });
      spans.push({
        name: `wait at ${layer}`,
        part: 'wait',
        layer,
        lane: 'thread',
        start_ms: at + 0.5,
        ms: 0.3 + 0.4 * tower,
      });
      at += 0.8 + 0.4 * tower;
    };
    for (const [i, layer] of LAYERS.entries()) add(layer, 'forward', 0.3 + (i % 4) * 0.25);
    for (const [i, layer] of [...LAYERS].reverse().entries()) add(layer, 'backward', 0.5 + (i % 4) * 0.4);
    spans.push({ name: 'update', part: 'update', lane: 'function', start_ms: at, ms: 1.6 });
    const sum = (part: string) => spans.reduce((total, each) => total + (each.part === part ? each.ms : 0), 0);
    const parts = {
      data: 0.4,
      forward: sum('forward'),
      backward: sum('backward'),
      pass: 0,
      exchange: 2,
      wait: sum('wait'),
      update: 1.6,
    };
    return { tower, hidden_exchange_ms: 1, parts_ms: { ...parts, other: 0.3 }, spans };
  });
  return { event: 'trace', step, step_ms: 26.4, source: 'profiler', file: `traces/step-${step}.json`, towers };
}

/** A split run, done, with everything that a page shows. @param changes what is different. */
export function runReport(changes: Partial<RunReport> = {}): RunReport {
  const parts = { data: 0.4, compute: 19.1, exchange: 3.1, wait: 2.6, other: 1.2 };
  const own = { step: 24.8, compute: 19.1, exchange: 3.1, wait: 2.6 };
  const evals = [1, 2, 3, 4, 5, 6].map((epoch) => ({
    ...{
      step: epoch * 157,
      epoch,
      images: 1000,
      loss: 0.4 + 0.5 / epoch,
      top1: 0.86 - 0.16 / epoch,
      top5: 0.999 - 0.01 / epoch,
    },
  }));
  return {
    run: 'split-mini',
    folder: 'runs/split-mini',
    status: 'done',
    started: Date.UTC(2026, 10, 29, 8, 14, 11),
    ended: Date.UTC(2026, 10, 29, 8, 14, 40),
    log: {
      lines: 983,
      bytes: 812_345,
      problems: 0,
      firstProblems: [],
      unknownEvents: 0,
      unknownFields: 0,
      repeatedSteps: 0,
      stepsPerLine: 1,
    },
    start: {
      ...RUN_START,
      ...{ run: 'split-mini', parameters: 1_279_082, steps: STEPS, steps_per_epoch: 157 },
      config: {
        net: { table: 'original', width: 0.25 },
        batchSize: 64,
        optimizer: { learningRate: 0.02, momentum: 0.9 },
      },
      dataset: { name: 'fashion-mnist-sample', source: 'embedded sample', train_images: 10_000, test_images: 1000 },
    },
    check: {
      event: 'check',
      steps: 1,
      worst_relative: 0,
      tensor: 'tower0/conv1',
      tolerance: 1e-3,
      passed: true,
      check_ms: 900,
    },
    steps: STEPS,
    images: STEPS * 64,
    loss: curve((step) => 0.35 + 2 * Math.exp(-step / 150), 0.15),
    top1: curve((step) => 0.85 - 0.7 * Math.exp(-step / 150), 0.1),
    learningRate: { ...curve(() => 1, 0), mean: Array.from({ length: 157 }, (_, i) => (i < 105 ? 0.02 : 0.002)) },
    imagesPerSecond: curve(() => 2420, 0.2),
    evals,
    time: {
      ...{ steps: STEPS - 1, mean: 26.4, median: 25.9, p95: 31.2, parts, imagesPerSecond: 2424 },
      towers: [
        { tower: 0, device: 'CPU:0', ...own },
        { tower: 1, device: 'CPU:1', step: 23.6, compute: 16.9, exchange: 2.9, wait: 3.8 },
      ],
      limit: 'Computing limits the step: 72 % of it; exchange takes 12 % and waiting for the other tower 10 %.',
    },
    exchange: [
      { site: 'conv3', forward: 2_770_000, backward: 2_770_000 },
      { site: 'fc6', forward: 295_000, backward: 295_000 },
      { site: 'fc7', forward: 262_000, backward: 262_000 },
      { site: 'fc8', forward: 131_000, backward: 131_000 },
    ],
    memory: [0, 1, 2, 3, 4, 5, 6].map((epoch) => ({
      ...{ step: epoch * 157, resident: 820e6 + 9e6 * Math.sqrt(epoch), towers: [5_157_328, 5_075_328] },
    })),
    activations: { first: activations(0), last: activations(STEPS) },
    warnings: [{ step: 157, kind: 'dead-units', message: 'Most units of conv2 of tower 1 are 0 for every image.' }],
    furtherWarnings: 0,
    checkpoints: [314, 628, STEPS].map((step) => ({
      ...{
        step,
        folder: `runs/split-mini/checkpoints/${String(step).padStart(10, '0')}`,
        bytes: 10_240_000,
        exists: step > 314,
      },
    })),
    traces: [trace(20), trace(21)],
    kernels: [
      { tower: 0, kernels: 12, colourShare: 0, colourKernels: 0 },
      { tower: 1, kernels: 12, colourShare: 0.31, colourKernels: 4 },
    ],
    kernelPicture: PICTURE,
    ...changes,
  };
}

export const ONE: Report = { version: '0.1.0', runs: [runReport()] };

/** Split against single. */
export const PAIR: Report = {
  version: '0.1.0',
  runs: [
    runReport(),
    runReport({
      ...{ run: 'single-mini', folder: 'runs/single-mini', exchange: [], traces: [], warnings: [] },
      loss: curve((step) => 0.32 + 2 * Math.exp(-step / 140), 0.15),
      imagesPerSecond: curve(() => 2890, 0.1),
      start: {
        ...RUN_START,
        placement: 'single',
        config: { net: { table: 'original', width: 0.25 }, batchSize: 64, optimizer: { learningRate: 0.01 } },
      },
      time: {
        ...{ steps: STEPS - 1, mean: 22.1, median: 21.8, p95: 25.4, imagesPerSecond: 2890 },
        parts: { data: 0.3, compute: 21, exchange: 0, wait: 0, other: 0.8 },
        towers: [{ tower: 0, device: 'CPU:0', step: 21, compute: 21, exchange: 0, wait: 0 }],
        limit: 'Computing limits the step: 95 % of it.',
      },
    }),
  ],
  comparison: {
    ...{ faster: 'single-mini', slower: 'split-mini', ratio: 1.19, comparable: true },
    sentence:
      'split-mini takes 4.3 ms more per step: it exchanges for 3.1 ms and waits for 2.6 ms, of which single-mini has neither.',
  },
};

function group(name: string, i: number): Group {
  const top1 = 0.84 - 0.015 * i;
  const step = [157, 314, 471];
  const mean = step.map((_, at) => top1 - 0.1 / (at + 1));
  return {
    ...{
      name,
      change: i === 0 ? 'nothing' : `net without ${name}`,
      runs: [`${name}-1`, `${name}-2`],
      top1,
      low: top1 - 0.02,
      high: top1 + 0.02,
    },
    ...{ interval: 'seeds', testLoss: 0.45 + 0.02 * i, imagesPerSecond: 2400 + 90 * i },
    curve: { step, mean, low: mean.map((each) => each - 0.02), high: mean.map((each) => each + 0.02) },
  };
}

/** An ablation of ten variants, with two seeds each. */
export const MANY: Report = {
  version: '0.1.0',
  ...(() => {
    const names = [
      'baseline',
      'norm',
      'dropout',
      'overlap',
      'cross',
      'augmentation',
      'relu',
      'momentum',
      'decay',
      'bias',
    ];
    const groups = names.map(group);
    const runs = groups.flatMap(({ runs }) =>
      runs.map((run) => runReport({ run, folder: `runs/ablation/${run}`, traces: [] })),
    );
    return { groups, runs };
  })(),
};

const EMPTY_CURVE: Curve = { step: [], mean: [], low: [], high: [] };

/** What is known of an empty log. */
export const EMPTY: Report = {
  version: '0.1.0',
  runs: [
    {
      ...{ run: 'empty', folder: 'runs/empty', status: 'empty', started: null, ended: null, steps: 0, images: 0 },
      log: {
        lines: 0,
        bytes: 0,
        problems: 0,
        firstProblems: [],
        unknownEvents: 0,
        unknownFields: 0,
        repeatedSteps: 0,
        stepsPerLine: 1,
      },
      ...{ loss: EMPTY_CURVE, top1: EMPTY_CURVE, learningRate: EMPTY_CURVE, imagesPerSecond: EMPTY_CURVE },
      ...{
        evals: [],
        exchange: [],
        memory: [],
        activations: {},
        warnings: [],
        furtherWarnings: 0,
        checkpoints: [],
        traces: [],
        kernels: [],
      },
    },
  ],
};

/** Two runs with lists as long as a report's lists may be, and ten times the spans that a step has. */
export const LARGE: Report = {
  ...PAIR,
  runs: PAIR.runs.map((run) => {
    const step = Array.from({ length: 1000 }, (_, i) => (i + 1) * 1234);
    const long = step.map((each) => 1 + wobble(each));
    const large: Curve = { step, mean: long, low: long.map((each) => each / 3), high: long.map((each) => each * 3) };
    const [traced] = [trace(20)].map((each) => ({
      ...each,
      towers: each.towers.map((tower) => ({ ...tower, spans: Array.from({ length: 30 }, () => tower.spans).flat() })),
    }));
    return {
      ...run,
      ...{ loss: large, top1: large, learningRate: large, imagesPerSecond: large },
      evals: step.map((each) => ({ step: each, epoch: 1, images: 1000, loss: 1 / 3, top1: 2 / 3, top5: 6 / 7 })),
      memory: step.map((each) => ({ step: each, resident: 1e9 + each, towers: [1e9 + each, 1e9 - each] })),
      warnings: Array.from({ length: 200 }, (_, i) => ({
        step: i,
        message: 'This takes a sentence of some length.'.repeat(4),
      })),
      checkpoints: step
        .slice(0, 200)
        .map((each) => ({ step: each, folder: `runs/r/${each}`, bytes: 1e9, exists: true })),
      traces: Array.from({ length: 10 }, (_, i) => ({ ...traced!, step: i })),
      kernelPicture: 'A'.repeat(150_000),
    };
  }),
};

const HOSTILE = `</script></style><img src=x onerror="window.broken=1">'"&\u202e{a|b}`;

/** Every text that may come from a log is hostile. */
export const HOSTILE_REPORT: Report = {
  version: '0.1.0',
  runs: [
    (() => {
      const hostile = replaceTexts(runReport()) as RunReport;
      return { ...hostile, kernelPicture: `"><script>window.broken=1</script>` };
    })(),
  ],
};

/** Texts that are not one of the schema's own words. */
function replaceTexts(value: unknown, key = ''): unknown {
  if (typeof value === 'string')
    return ['status', 'event', 'placement', 'part', 'lane', 'source', 'kind'].includes(key) ? value : HOSTILE;
  if (Array.isArray(value)) return value.map((each) => replaceTexts(each, key));
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(Object.entries(value).map(([name, each]) => [name, replaceTexts(each, name)]));
}
