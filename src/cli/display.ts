/** What a training shows while it runs. The log has everything; this is for the eye, or for another program. */
import type { Config } from '../config/config.js';
import { type EventOf, eventWriter, type LogEvent } from '../log.js';
import { openBar } from './bar.js';
import { count, difference, duration } from './format.js';
import { runFolder } from './run-folder.js';
import type { Output, Services } from './services.js';

export interface Display {
  /** A sentence for the user. */
  note(text: string): void;
  show(event: LogEvent): void;
  /** Leaves the terminal as it was. */
  close(): void;
}

/** `json`: the events as lines, nothing else, on stdout. `quiet`: the last line, and warnings on stderr. */
export interface DisplayMode {
  json?: boolean;
  quiet?: boolean;
}

/**
 * A display for where the output goes: on a terminal a progress bar, and evaluations above it; elsewhere plain lines,
 * one each `logEvery` steps and one an evaluation.
 */
export function openDisplay(mode: DisplayMode, asked: Config, services: Services): Display {
  let config = asked;
  const { stdout, stderr } = services;
  if (mode.json) {
    return { note: printer(stderr), show: eventWriter(stdout), close: () => {} };
  }
  const bar =
    stdout.isTTY && !mode.quiet ? openBar((stdout.terminal ?? stdout) as NodeJS.WriteStream, services.env) : undefined;
  const print = bar ? bar.print : printer(stdout);
  let steps = 0;
  let first: { step: number; at: number } | undefined;

  function left(step: number): string {
    if (!first || step <= first.step) return '?';
    return duration(((Date.now() - first.at) / (step - first.step)) * (steps - step));
  }

  function showStep(event: EventOf<'train_step'>): void {
    first ??= { step: event.step, at: Date.now() };
    if (bar) {
      bar.update(event, steps, left(event.step));
      return;
    }
    const due = event.step % config.logEvery === 0 || event.step === first.step || event.step === steps;
    if (due) print(`${stepLine(event, steps)}  ${left(event.step)} left`);
  }

  function show(event: LogEvent): void {
    // The name that was made from the time may have got a number since.
    if (event.event === 'run_start') config = { ...config, run: event.run };
    if (mode.quiet && event.event !== 'warning' && event.event !== 'run_end') return;
    switch (event.event) {
      case 'run_start':
        steps = event.steps;
        headLines(event, config).forEach(print);
        break;
      case 'check':
        print(checkLine(event));
        break;
      case 'train_step':
        showStep(event);
        break;
      case 'eval':
        print(evalLine(event));
        break;
      case 'warning':
        (bar ? print : printer(stderr))(`warning: ${event.message}`);
        break;
      case 'run_end':
        bar?.close();
        printer(stdout)(endLine(event, config));
        break;
    }
  }

  return { note: mode.quiet ? () => {} : print, show, close: () => bar?.close() };
}

/** Where the towers are, what they learn from, how large the net is, where the log is. */
function headLines(event: EventOf<'run_start'>, config: Config): string[] {
  const { dataset, towers } = event;
  const places = towers.map(({ tower, device, backing_device: backing }) =>
    backing.toUpperCase().endsWith(device)
      ? `tower ${tower} on ${device}`
      : `tower ${tower} on ${device} (TensorFlow reports ${backing})`,
  );
  const shares = towers.length > 1 ? ` (${towers.map((each) => count(each.parameters)).join(' and ')} by tower)` : '';
  return [
    places.join(', '),
    `data ${dataset.name}: ${count(dataset.train_images)} training and ${count(dataset.test_images)} test images, from ${dataset.source}`,
    `net ${config.net.table}: ${count(event.parameters)} parameters${shares}`,
    `run ${event.run}: ${count(event.steps)} steps of ${count(config.batchSize)} images, ${count(event.steps_per_epoch)} an epoch; log in ${runFolder(config)}/log.ndjson`,
  ];
}

function checkLine(event: EventOf<'check'>): string {
  const verdict = event.passed ? 'split and reference agree' : 'split and reference DIFFER';
  return `check over ${event.steps} step${event.steps === 1 ? '' : 's'}: ${verdict}, worst relative difference ${difference(event.worst_relative)} (${event.tensor}), allowed ${difference(event.tolerance)}, ${duration(event.check_ms)}`;
}

function stepLine(event: EventOf<'train_step'>, steps: number): string {
  const step = String(event.step).padStart(String(steps).length);
  return `step ${step}/${steps}  epoch ${event.epoch}  loss ${event.loss.toFixed(4)}  top-1 ${event.top1.toFixed(3)}  ${event.images_per_s.toFixed(0)} images/s`;
}

function evalLine(event: EventOf<'eval'>): string {
  return `eval at step ${event.step}: loss ${event.loss.toFixed(4)}  top-1 ${event.top1.toFixed(4)}  top-5 ${event.top5.toFixed(4)}  (${count(event.images)} test images, ${duration(event.eval_ms)})`;
}

function endLine(event: EventOf<'run_end'>, config: Config): string {
  const accuracy = event.top1 === undefined ? '' : `test accuracy ${event.top1.toFixed(4)} `;
  const { unreadable_images: unreadable = 0 } = event;
  const skipped = unreadable > 0 ? `, ${count(unreadable)} unreadable image${unreadable === 1 ? '' : 's'} skipped` : '';
  return `${event.status}: ${accuracy}after ${count(event.steps)} steps, ${event.images_per_s.toFixed(0)} images/s, ${duration(event.train_ms)}${skipped}; ${runFolder(config)}`;
}

function printer(output: Output): (line: string) => void {
  return (line) => output.write(`${line}\n`);
}
