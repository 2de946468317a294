/** A run's events as metrics for Prometheus. Durations are in seconds and sizes in bytes, as its users expect. */
import { Counter, Gauge, Histogram, Registry } from 'prom-client';
import type { EventOf, LogEvent } from '../log.js';
import { meanStep, stepsIn } from '../step-lines.js';

const PREFIX = 'alexnet_split_';

/** Upper bounds in seconds: from a small net on a GPU to a large one on a CPU. */
const STEP_BUCKETS = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30];

/** The metrics of one run, in a registry of its own. */
export function runMetrics() {
  const registry = new Registry();
  const gauge = (name: string, help: string, ...labelNames: string[]) =>
    new Gauge({ name: PREFIX + name, help, labelNames, registers: [registry] });
  const counter = (name: string, help: string, ...labelNames: string[]) =>
    new Counter({ name: PREFIX + name, help, labelNames, registers: [registry] });

  const info = gauge('run_info', 'The run, as labels', 'run', 'placement', 'preset', 'version', 'tensorflow');
  const planned = gauge('planned_steps', 'Length of the run in steps');
  const step = gauge('step', 'Last completed training step');
  const epoch = gauge('epoch', 'Epoch of the last step, from 1');
  const loss = gauge('train_loss', 'Mean cross-entropy of the last batch, in nats');
  const top1 = gauge('train_top1_ratio', 'Share of the last batch whose label has the highest score');
  const learningRate = gauge('learning_rate', 'Learning rate of the last step');
  const speed = gauge('images_per_second', 'Images per second of the last step');
  const steps = counter('steps_total', 'Training steps of this process');
  const images = counter('images_total', 'Training images of this process');
  const duration = new Histogram({
    name: `${PREFIX}step_duration_seconds`,
    help: 'Duration of training steps',
    buckets: STEP_BUCKETS,
    registers: [registry],
  });
  const parts = counter('step_parts_seconds_total', 'Duration of steps by part; the parts sum to the steps', 'part');
  const towerParts = counter('tower_seconds_total', 'Duration of steps by tower and part', 'tower', 'part');
  const bytes = counter('tower_exchange_bytes_total', 'Bytes sent to the other tower', 'tower');
  const norm = gauge('gradient_norm', 'Norm of the gradients of the last step, of all towers of a replica');
  const ready = gauge('ready_images', 'Images that were ready when the last step asked for its batch');
  const decoding = counter('decode_seconds_total', 'Time of all data workers for the batches of the steps');
  const read = counter('read_bytes_total', 'Bytes of image files read for the batches of the steps');
  const toDevices = counter('device_bytes_total', 'Bytes of images and labels handed to the devices');
  const tensors = gauge('tower_tensor_bytes', 'Values that a tower holds between steps', 'tower');
  const evalStep = gauge('eval_step', 'Step before the last evaluation');
  const evalLoss = gauge('eval_loss', 'Mean cross-entropy of the test images, in nats');
  const evalTop1 = gauge('eval_top1_ratio', 'Share of the test images whose label has the highest score');
  const evalTop5 = gauge('eval_top5_ratio', 'Share of the test images whose label is among the five highest scores');
  const evalSeconds = counter('eval_seconds_total', 'Duration of evaluations');
  const warnings = counter('warnings_total', 'Warnings by kind', 'kind');
  const checkpointStep = gauge('checkpoint_step', 'Last step in the newest checkpoint');
  const checkpointBytes = gauge('checkpoint_bytes', 'Size of the newest checkpoint');
  addProcessMetrics(registry);

  function seeStart({ run, placement, preset, versions, steps }: EventOf<'run_start'>): void {
    info.set({ run, placement, preset, version: versions.alexnet_split, tensorflow: versions.tensorflow }, 1);
    planned.set(steps);
  }

  function seeStep(event: EventOf<'train_step'>): void {
    step.set(event.step);
    epoch.set(event.epoch);
    loss.set(event.loss);
    top1.set(event.top1);
    learningRate.set(event.learning_rate);
    speed.set(event.images_per_s);
    steps.inc(stepsIn(event));
    images.inc(event.images);
    const mean = meanStep(event).step_ms;
    for (let i = stepsIn(event); i > 0; i--) duration.observe(mean / 1000);
    if (event.gradient_norm !== undefined) norm.set(event.gradient_norm);
    if (event.ready_images !== undefined) ready.set(event.ready_images);
    decoding.inc(seconds(event.decode_ms ?? 0));
    read.inc(event.read_bytes ?? 0);
    toDevices.inc(event.device_bytes ?? 0);
    parts.inc({ part: 'data' }, seconds(event.data_ms));
    parts.inc({ part: 'other' }, seconds(event.other_ms));
    for (const part of ['compute', 'exchange', 'wait'] as const) {
      parts.inc({ part }, seconds(event[`${part}_ms`]));
      for (const tower of event.towers) {
        towerParts.inc({ tower: tower.tower, part }, seconds(tower[`${part}_ms`]));
      }
    }
    for (const { tower, exchange_bytes } of event.towers) bytes.inc({ tower }, exchange_bytes);
  }

  function seeEval(event: EventOf<'eval'>): void {
    evalStep.set(event.step);
    evalLoss.set(event.loss);
    evalTop1.set(event.top1);
    evalTop5.set(event.top5);
    evalSeconds.inc(seconds(event.eval_ms));
  }

  /** Takes the next event of the run. */
  function see(event: LogEvent): void {
    if (event.event === 'run_start') seeStart(event);
    else if (event.event === 'train_step') seeStep(event);
    else if (event.event === 'eval') seeEval(event);
    else if (event.event === 'warning') warnings.inc({ kind: event.kind ?? 'other' });
    else if (event.event === 'memory') {
      for (const each of event.towers) tensors.set({ tower: each.tower }, each.tensor_bytes);
    } else if (event.event === 'checkpoint') {
      checkpointStep.set(event.step);
      checkpointBytes.set(event.bytes);
    } else if (event.event === 'servers_back') step.set(event.step);
    else if (event.event === 'resume') {
      step.set(event.step);
      checkpointStep.set(event.step);
    }
  }

  return {
    see,
    /** The text that Prometheus reads, and its media type. */
    text: async () => ({ type: registry.contentType, body: await registry.metrics() }),
  };
}

/** A part is what remains of a measured whole, so it may be a rounding error below 0; a counter cannot fall. */
function seconds(ms: number): number {
  return Math.max(0, ms) / 1000;
}

/** Under the names that all Prometheus clients use. prom-client's own set has timers, and names that Prometheus' checker refuses. */
function addProcessMetrics(registry: Registry): void {
  const registers = [registry];
  new Gauge({
    ...{ name: 'process_resident_memory_bytes', help: 'Resident memory of the process, all its threads', registers },
    collect() {
      this.set(process.memoryUsage.rss());
    },
  });
  new Gauge({ name: 'process_start_time_seconds', help: 'Start of the process, since 1970', registers }).set(
    Math.round(Date.now() / 1000 - process.uptime()),
  );
  new Counter({
    ...{ name: 'process_cpu_seconds_total', help: 'Time of all cores that the process has used', registers },
    collect() {
      const { user, system } = process.cpuUsage();
      this.reset();
      this.inc((user + system) / 1e6);
    },
  });
}
