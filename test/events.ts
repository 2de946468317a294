/** One event of each kind, as a run makes them. */
import type { EventOf, LogEvent } from '../src/log.js';

export const RUN_START: EventOf<'run_start'> = {
  event: 'run_start',
  run: 'r',
  placement: 'split',
  preset: 'mini',
  config: { net: { table: 'original' }, batchSize: 4 },
  versions: { alexnet_split: '0.1.0', node: '20.20.0', tensorflow: '2.21.0', tfjs: '4.22.0' },
  parameters: 30,
  towers: [
    { tower: 0, device: 'CPU:0', backing_device: '/job:localhost/replica:0/task:0/device:CPU:0', parameters: 20 },
    { tower: 1, device: 'CPU:1', backing_device: '/job:localhost/replica:0/task:0/device:CPU:1', parameters: 10 },
  ],
  dataset: { name: 'Fashion-MNIST', source: 'embedded', train_images: 5000, test_images: 1000 },
  steps: 3,
  steps_per_epoch: 3,
  data_workers: { workers: 1, cores: 2, reason: 'as the settings say' },
};

export const CHECK: EventOf<'check'> = {
  event: 'check',
  steps: 1,
  worst_relative: 2e-7,
  tensor: 'tower0/conv1/kernel',
  tolerance: 1e-3,
  passed: true,
  check_ms: 800,
};

/** A step of 4 images in 20 ms: 200 images/s. */
export function trainStep(step: number, changes: Partial<EventOf<'train_step'>> = {}): EventOf<'train_step'> {
  const times = { compute_ms: 10, exchange_ms: 3, wait_ms: 4 };
  return {
    event: 'train_step',
    ...{ step, epoch: 1, images: 4, loss: 2.3, top1: 0.25, learning_rate: 0.02 },
    ...{ step_ms: 20, data_ms: 1, ...times, other_ms: 2, exchange_bytes: 300, images_per_s: 200 },
    towers: [
      { tower: 0, step_ms: 17, ...times, exchange_bytes: 200 },
      { tower: 1, step_ms: 16, ...times, compute_ms: 9, exchange_bytes: 100 },
    ],
    ...changes,
  };
}

export const EVAL: EventOf<'eval'> = {
  event: 'eval',
  ...{ step: 3, epoch: 1, images: 1000, loss: 0.5, top1: 0.82, top5: 0.99, eval_ms: 1500 },
};

export const RUN_END: EventOf<'run_end'> = {
  event: 'run_end',
  ...{ status: 'done', exit_code: 0, steps: 3, images: 12, train_ms: 60, images_per_s: 200, top1: 0.82 },
  weights: 'runs/r',
};

export const ACTIVATIONS: EventOf<'activations'> = {
  event: 'activations',
  ...{ step: 0, images: 64 },
  layers: [
    { layer: 'images', tower: 0, mean: 0.1, sd: 1, max: 2, zero: 0, signal: 0.9, units: 3 },
    { layer: 'conv2', tower: 1, mean: 0.3, sd: 0.5, max: 3, zero: 0.5, signal: 0.3, units: 32, dead: 1 },
  ],
};

/** With everything that a warning may have. */
export const KIND_WARNING: EventOf<'warning'> = {
  event: 'warning',
  ...{ message: 'most units are dead', kind: 'dead-units', step: 3, value: 0.99, bound: 0.95 },
  layers: [{ layer: 'conv2', tower: 1, value: 0.99 }],
};

export const WARNING: EventOf<'warning'> = { event: 'warning', message: 'mind the gap' };

export const CHECKPOINT: EventOf<'checkpoint'> = {
  event: 'checkpoint',
  ...{ step: 3, folder: 'runs/r/checkpoints/0000000003', bytes: 10_000, wait_ms: 0, copy_ms: 1, write_ms: 5 },
  removed: ['runs/r/checkpoints/0000000001'],
};

export const RESUME: EventOf<'resume'> = {
  event: 'resume',
  step: 1,
  checkpoint: 'runs/r/checkpoints/0000000001',
  skipped: [{ checkpoint: 'runs/r/checkpoints/0000000002', why: 'state.json is not there' }],
};

export const SERVER_LOST: EventOf<'server_lost'> = {
  event: 'server_lost',
  ...{ step: 1, server: '10.0.0.2:2222', reason: 'has ended: nothing listens at its address' },
};

export const SERVERS_BACK: EventOf<'servers_back'> = { event: 'servers_back', step: 1, waited_ms: 12_300, times: 1 };

export const EXCHANGE: EventOf<'exchange'> = {
  event: 'exchange',
  step: 1,
  sites: [
    { site: 'conv3', direction: 'forward', tower: 0, bytes: 200 },
    { site: 'conv3', direction: 'backward', tower: 1, bytes: 100 },
  ],
};

export const MEMORY: EventOf<'memory'> = {
  event: 'memory',
  ...{ step: 0, resident_bytes: 500_000_000, heap_bytes: 20_000_000 },
  towers: [
    { tower: 0, tensors: 20, tensor_bytes: 4000 },
    { tower: 1, tensors: 18, tensor_bytes: 3000 },
  ],
};

/** Two towers on two servers: a step has 3000 bytes of images each, and 300 bytes between the towers. */
export const NETWORK: EventOf<'network'> = {
  event: 'network',
  ...{ step: 3, steps: 2 },
  links: [
    {
      ...{ from: 'coordinator', to: '10.0.0.2:2222', counted_bytes: 6000, measured_bytes: 6100 },
      contents: [{ what: 'images', bytes: 6000 }],
    },
    {
      ...{ from: '10.0.0.2:2222', to: '10.0.0.3:2222', counted_bytes: 600 },
      contents: [
        { what: 'activations', site: 'conv3', bytes: 400 },
        { what: 'gradients', site: 'conv3', bytes: 200 },
      ],
    },
  ],
};

/** A step of 20 ms, in which the exchange hides 2 ms behind computing. */
export const TRACE: EventOf<'trace'> = {
  event: 'trace',
  ...{ step: 2, step_ms: 20, source: 'profiler', file: 'traces/step-2.json' },
  towers: [0, 1].map((tower) => ({
    tower,
    hidden_exchange_ms: 2,
    parts_ms: { data: 1, forward: 5, backward: 8, pass: 0, exchange: 1, wait: 2, update: 2, other: 1 },
    spans: [
      { name: 'wait for the batch', part: 'data', lane: 'thread', start_ms: 0, ms: 1 },
      { name: 'conv1', part: 'forward', layer: 'conv1', lane: 'function', start_ms: 1, ms: 5 },
      { name: 'send to conv3', part: 'exchange', layer: 'conv3', lane: 'thread', start_ms: 4, ms: 3 },
      { name: 'wait at conv3', part: 'wait', layer: 'conv3', lane: 'thread', start_ms: 7, ms: 2 },
      { name: 'conv1', part: 'backward', layer: 'conv1', lane: 'function', start_ms: 9, ms: 8 },
      { name: 'update', part: 'update', lane: 'function', start_ms: 17, ms: 2 },
    ],
  })),
};

/** One of each kind, in the order of a run. */
export const ALL_EVENTS: readonly LogEvent[] = [
  RUN_START,
  CHECK,
  RESUME,
  SERVER_LOST,
  SERVERS_BACK,
  ACTIVATIONS,
  MEMORY,
  trainStep(1),
  EXCHANGE,
  TRACE,
  WARNING,
  KIND_WARNING,
  EVAL,
  CHECKPOINT,
  NETWORK,
  RUN_END,
];
