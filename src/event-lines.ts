/** Each event in one sentence: what the terminal shows of a run, and `msg` in the lines of its log. */
import type { EventOf, LogEvent } from './log.js';
import { count, difference, duration, mebibytes, plural, sumOf } from './numbers.js';
import { stepsIn } from './step-lines.js';

/**
 * Says an event in one sentence. Text in it is as it is in the event, so what prints it must make it `printable`.
 * @param steps the length of the run, if it is known.
 */
export function eventLine(event: LogEvent, steps?: number): string {
  switch (event.event) {
    case 'run_start':
      return startLine(event);
    case 'check':
      return checkLine(event);
    case 'train_step':
      return stepLine(event, steps);
    case 'eval':
      return `eval at step ${event.step}: loss ${event.loss.toFixed(4)}  top-1 ${event.top1.toFixed(4)}  top-5 ${event.top5.toFixed(4)}  (${plural(event.images, 'test image')}, ${duration(event.eval_ms)})`;
    case 'activations':
      return activationsLine(event);
    case 'exchange':
      return exchangeLine(event);
    case 'network':
      return networkLine(event);
    case 'memory':
      return memoryLine(event);
    case 'trace':
      return `trace of step ${event.step}: ${event.step_ms.toFixed(1)} ms, in ${event.file}`;
    case 'checkpoint':
      return `checkpoint of step ${event.step}: ${mebibytes(event.bytes)} in ${event.folder}`;
    case 'resume':
      return `resume after step ${event.step} from ${event.checkpoint}`;
    case 'server_lost':
      return `after step ${event.step} the server ${event.server} was lost: it ${event.reason}`;
    case 'servers_back':
      return `the servers are back after ${duration(event.waited_ms)}: continuing after step ${event.step} (${event.times} ${event.times === 1 ? 'loss' : 'losses'} so far)`;
    case 'run_end':
      return endLine(event);
    case 'warning':
      return event.message;
  }
}

/** A tower's name: its number, or among several replicas `tower 1 of pair 2`, `net 2`. @param towers how many there are. */
export function towerTitle(tower: number, towers: number, placement: 'split' | 'single'): string {
  if (placement === 'single') return towers > 1 ? `net ${tower}` : `tower ${tower}`;
  return towers > 2 ? `tower ${tower % 2} of pair ${Math.floor(tower / 2)}` : `tower ${tower}`;
}

/** The images of a step in a log's settings: `128`, or `256 (2 × 128)`; undefined if they do not say it. */
export function batchOf(config: object): string | undefined {
  const { batchSize, replicas = 1 } = config as { batchSize?: unknown; replicas?: unknown };
  if (typeof batchSize !== 'number' || typeof replicas !== 'number') return undefined;
  return replicas === 1
    ? count(batchSize)
    : `${count(batchSize * replicas)} (${count(replicas)} × ${count(batchSize)})`;
}

function startLine({ run, steps, steps_per_epoch: perEpoch, config, ...rest }: EventOf<'run_start'>): string {
  const batch = batchOf(config);
  const images = batch === undefined ? '' : ` of ${batch} ${batch === '1' ? 'image' : 'images'}`;
  const { parameters, frozen } = rest;
  const trained = frozen
    ? `; ${count(parameters - frozen.parameters)} of ${count(parameters)} parameters train, ${frozen.layers.join(', ')} ${frozen.layers.length === 1 ? 'is' : 'are'} frozen`
    : '';
  return `run ${run}: ${plural(steps, 'step')}${images}, ${count(perEpoch)} per epoch${trained}`;
}

function checkLine(event: EventOf<'check'>): string {
  const verdict = event.passed ? 'split and reference agree' : 'split and reference DIFFER';
  return `check over ${plural(event.steps, 'step')}: ${verdict}, worst relative difference ${difference(event.worst_relative)} (${event.tensor}), allowed ${difference(event.tolerance)}, ${duration(event.check_ms)}`;
}

function stepLine(event: EventOf<'train_step'>, steps: number | undefined): string {
  const step = steps === undefined ? event.step : `${String(event.step).padStart(String(steps).length)}/${steps}`;
  return `step ${step}  epoch ${event.epoch}  loss ${event.loss.toFixed(4)}  top-1 ${event.top1.toFixed(3)}  ${event.images_per_s.toFixed(0)} images/s${stepsIn(event) > 1 ? `  (mean of ${stepsIn(event)} steps)` : ''}`;
}

function activationsLine({ step, images, layers }: EventOf<'activations'>): string {
  const counted = layers.filter(({ dead }) => dead !== undefined);
  const [dead, units] = [sumOf(counted, ({ dead = 0 }) => dead), sumOf(counted, (layer) => layer.units)];
  return `activations after step ${step}: ${count(dead)} of ${count(units)} units dead  (${plural(images, 'test image')})`;
}

function exchangeLine({ step, sites }: EventOf<'exchange'>): string {
  const bytes = sumOf(sites, (site) => site.bytes);
  const places = new Set(sites.map(({ site }) => site).filter((site) => site !== 'gradients')).size;
  return `exchange of step ${step}: ${count(bytes)} bytes at ${plural(places, 'cross-connection')}`;
}

function networkLine({ steps, links }: EventOf<'network'>): string {
  const each = links.map(({ from, to, counted_bytes: counted, measured_bytes: measured }) => {
    const also = measured === undefined ? '' : ` (measured ${mebibytes(measured / steps)})`;
    return `${from} to ${to} ${mebibytes(counted / steps)}${also}`;
  });
  return `network, a step: ${each.join(', ')}`;
}

function memoryLine({ step, resident_bytes: resident, towers }: EventOf<'memory'>): string {
  const held = towers.map((each) => `tower ${each.tower} holds ${mebibytes(each.tensor_bytes)}`);
  return `memory after step ${step}: ${mebibytes(resident)} resident, ${held.join(', ')}`;
}

function overfitText({ overfit }: EventOf<'run_end'>): string {
  if (!overfit) return '';
  const verdict = overfit.learnt ? 'the net can learn' : 'the batch was not learnt';
  return `; loss ${losses(overfit.first_loss)} → ${losses(overfit.last_loss)}: ${verdict}`;
}

function losses(value: number): string {
  return Number(value.toPrecision(3)).toString();
}

function endLine(event: EventOf<'run_end'>): string {
  const accuracy = event.top1 === undefined ? '' : `test accuracy ${event.top1.toFixed(4)} `;
  const { unreadable_images: unreadable = 0, servers_lost: lost = 0 } = event;
  const waits = lost > 0 ? `, continued ${plural(lost, 'time')} after the loss of a server` : '';
  const skipped = unreadable > 0 ? `, ${plural(unreadable, 'unreadable image')} skipped` : '';
  return `${event.status}: ${accuracy}after ${plural(event.steps, 'step')}, ${event.images_per_s.toFixed(0)} images/s, ${duration(event.train_ms)}${skipped}${waits}${overfitText(event)}`;
}
