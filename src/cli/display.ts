/** What a training shows while it runs: a progress bar on a terminal, otherwise lines, or JSON for another program. */
import cliProgress from 'cli-progress';
import type { Config } from '../config/config.js';
import { eventLine } from '../event-lines.js';
import type { EventOf, LogEvent } from '../log.js';
import { eventWriter } from '../log-writer.js';
import { count, duration } from '../numbers.js';
import { printable } from '../printable.js';
import { runFolder } from './run-folder.js';
import type { Services } from './services.js';

/** `json`: stdout has the events as lines and nothing else. `quiet`: the last line only, and warnings on stderr. */
export interface DisplayMode {
  json?: boolean;
  quiet?: boolean;
}

/** Opens a display. Without a bar, it prints a line each `logEvery` steps and one for each evaluation. */
export function openDisplay(mode: DisplayMode, asked: Config, { stdout, stderr, env }: Services) {
  const note = (text: string) => stderr.print(text);
  if (mode.json) return { note, show: eventWriter(stdout.stream), close: () => {} };
  const bar = stdout.isTTY && !mode.quiet ? openBar(stdout.stream as NodeJS.WriteStream, env) : undefined;
  const print = bar ? bar.print : (line: string) => stdout.print(line);
  let config = asked;
  let steps = 0;
  let first: { step: number; at: number } | undefined;

  function timeLeft(step: number): string {
    if (!first || step <= first.step) return '?';
    return duration(((Date.now() - first.at) / (step - first.step)) * (steps - step));
  }

  function showStep(event: EventOf<'train_step'>): void {
    first ??= { step: event.step, at: Date.now() };
    const left = timeLeft(event.step);
    if (bar) bar.update(event, steps, left);
    else if (event.step % config.logEvery === 0 || event.step === first.step || event.step === steps) {
      print(`${eventLine(event, steps)}  ${left} left`);
    }
  }

  function show(event: LogEvent): void {
    // A name made from the time may have got a number since.
    if (event.event === 'run_start') config = { ...config, run: event.run };
    if (mode.quiet && event.event !== 'warning' && event.event !== 'run_end') return;
    if (event.event === 'run_start') {
      steps = event.steps;
      startLines(event, config).forEach(print);
    } else if (event.event === 'train_step') showStep(event);
    else if (event.event === 'check' || event.event === 'eval') print(eventLine(event));
    else if (event.event === 'warning') (bar ? print : note)(`warning: ${eventLine(event)}`);
    else if (event.event === 'run_end') {
      bar?.close();
      stdout.print(`${eventLine(event)}; ${runFolder(config)}`);
    }
  }

  return {
    /** Shows a sentence for the user. */
    note: mode.quiet ? () => {} : print,
    show,
    /** Restores the terminal. */
    close: () => bar?.close(),
  };
}

/** The towers' devices, the data, the size of the net, and the place of the log. */
function startLines(event: EventOf<'run_start'>, config: Config): string[] {
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
    `${eventLine(event)}; log in ${runFolder(config)}/log.ndjson`,
  ];
}

const [CYAN, DEFAULT_COLOUR] = ['\u001b[36m', '\u001b[39m'];
/** The bar is not wrapped, because it cannot be redrawn over two lines. Other lines are. */
const [WRAP, NO_WRAP] = ['\u001b[?7h', '\u001b[?7l'];

/** Opens a bar that appears with the first step. `NO_COLOR` (no-color.org) removes its colour. */
function openBar(stream: NodeJS.WriteStream, env: Services['env']) {
  const drawn = env.NO_COLOR ? '{bar}' : `${CYAN}{bar}${DEFAULT_COLOUR}`;
  const bars = new cliProgress.MultiBar({
    stream,
    format: `${drawn} {value}/{total}  loss {loss}  {speed} images/s  {left} left`,
    barCompleteChar: '#',
    barIncompleteChar: '.',
    barsize: 24,
    hideCursor: true,
    gracefulExit: false, // the command handles signals itself
  });
  let bar: cliProgress.SingleBar | undefined;
  let isOpen = true;
  return {
    update({ step, loss, images_per_s: speed }: EventOf<'train_step'>, steps: number, left: string): void {
      if (!isOpen) return;
      const payload = { loss: loss.toFixed(4), speed: speed.toFixed(0), left };
      bar ??= bars.create(steps, step, payload);
      bar.update(step, payload);
    },
    /** Prints a line above the bar. */
    print(line: string): void {
      if (bar && isOpen) bars.log(`${WRAP}${printable(line)}\n${NO_WRAP}`);
      else stream.write(`${printable(line)}\n`);
    },
    /** Draws the bar a last time and restores the terminal. */
    close(): void {
      if (bar && isOpen) {
        bars.update(); // prints the lines that `log` has queued
        bars.stop();
      }
      isOpen = false;
    },
  };
}
