/** What a training shows while it runs: a view on a terminal, otherwise lines, or JSON for another program. */
import type { Config } from '../config/config.js';
import { eventLine, towerTitle } from '../event-lines.js';
import type { EventOf, LogEvent } from '../log.js';
import { eventWriter } from '../log-writer.js';
import { count, duration, imagesText, plural } from '../numbers.js';
import { printable, shellWord } from '../printable.js';
import { firstStepOf } from '../step-lines.js';
import { followState } from './live-state.js';
import { viewLines } from './live-view.js';
import { trainCommand } from './npm.js';
import { runFolder } from './run-folder.js';
import type { Services } from './services.js';
import { announce, breakSilence } from './silence.js';
import { canRedraw, openBlock, showsUnicode, type Terminal, wantsColour } from './terminal-block.js';

/** `json`: stdout has the events as lines and nothing else. `quiet`: the last line only, and warnings on stderr. */
export interface DisplayMode {
  json?: boolean;
  quiet?: boolean;
}

/** What a display shows of a run, or obeys, beside its events. */
export interface Shown {
  logEvery: number;
  net: Pick<Config['net'], 'table'>;
  /** The folder of the run with this name. */
  folderOf(run: string): string;
  /** Whether `--resume` continues the run by itself. */
  isResumable?: boolean;
}

/** What a display shows of a run with these settings. */
export function shownOf({ logEvery, net, out }: Config): Shown {
  return { logEvery, net, folderOf: (run) => runFolder({ run, out }) };
}

/** Events that are shown as one line. */
const SHOWN: readonly string[] = ['check', 'eval', 'server_lost', 'servers_back'];

/**
 * Opens a display. Where it cannot draw the view, it prints a line each `logEvery` steps and one for each evaluation.
 */
export function openDisplay(mode: DisplayMode, { logEvery, net, folderOf, isResumable }: Shown, services: Services) {
  const { stdout, stderr, env } = services;
  const note = (text: string) => stderr.print(text);
  if (mode.json) return { note, busy: () => {}, see: () => {}, show: eventWriter(stdout.stream), close: () => {} };
  const block = canRedraw(services) && !mode.quiet ? openBlock(stdout.stream as Terminal) : undefined;
  const print = block ? (line: string) => block.print(printable(line)) : (line: string) => stdout.print(line);
  const look = { unicode: showsUnicode(env), colour: wantsColour(env) };
  const live = followState();
  const silence = breakSilence((text) => (block ? print(text) : announce(services, text)));
  let folder = folderOf('');
  let steps: number | undefined;
  let first: number | undefined;
  /** Of the steps since the last line of one. */
  let since = { images: 0, ms: 0 };
  let placement: EventOf<'run_start'>['placement'] = 'split';

  function linesOf(columns: number): string[] {
    const state = live.state();
    return state ? viewLines(state, { columns, ...look }) : [];
  }

  function see(event: LogEvent, at: number): void {
    live.see(event, at);
    if (event.event !== 'run_start') return;
    // A name made from the time may have got a number since.
    folder = folderOf(event.run);
    steps = event.steps;
    placement = event.placement;
    first = undefined;
    since = { images: 0, ms: 0 };
  }

  /** Whether the number of one of its steps is a multiple of `logEvery`. */
  const isDue = (event: EventOf<'train_step'>) =>
    Math.floor(event.step / logEvery) > Math.floor((firstStepOf(event) - 1) / logEvery);

  function showStep(event: EventOf<'train_step'>): void {
    first ??= event.step;
    since.images += event.images;
    since.ms += event.step_ms;
    if (block) block.draw(linesOf);
    else if (isDue(event) || event.step === first || event.step === steps) {
      // The last batch of an epoch may be small, so its own rate says little.
      const rate = { images_per_s: (1000 * since.images) / since.ms };
      since = { images: 0, ms: 0 };
      print(`${eventLine({ ...event, ...rate }, steps)}  ${duration(live.state()!.leftMs)} left`);
    }
  }

  function show(event: LogEvent, at = Date.now()): void {
    silence.end();
    see(event, at);
    if (mode.quiet && event.event !== 'warning' && event.event !== 'run_end') return;
    if (event.event === 'run_start') {
      [...openedLines(event, { net }), `${eventLine(event)}; log in ${folder}/log.ndjson`].forEach(print);
    } else if (event.event === 'train_step') showStep(event);
    else if (SHOWN.includes(event.event)) print(eventLine(event));
    else if (event.event === 'warning') (block ? print : note)(`warning: ${eventLine(event)}`);
    else if (event.event === 'run_end') {
      block?.close();
      stdout.print(`${eventLine(event)}; ${folder}${nextOf(event)}`);
    }
  }

  /** How to continue a run that was stopped, if it has a checkpoint. */
  function nextOf({ status, steps: done }: EventOf<'run_end'>): string {
    if (!isResumable || status !== 'stopped' || done === 0) return '';
    return `; continue with ${trainCommand(env, placement)} --resume ${shellWord(folder)}`;
  }

  return {
    /** Shows a sentence for the user. */
    note: mode.quiet ? () => {} : print,
    /** Takes what begins now, to say it if nothing is shown for a while. */
    busy: mode.quiet ? () => {} : silence.busy,
    /** Takes an event into account that need not be shown: it is from before the display was opened. */
    see,
    /** Shows an event. @param at when it was written, ms since 1970. */
    show,
    /** Restores the terminal. */
    close() {
      silence.end();
      block?.close();
    },
  };
}

/** The towers' devices, the data, and the size of the net. */
export function openedLines(event: EventOf<'run_start'>, config: Pick<Shown, 'net'>): string[] {
  const { dataset, towers, placement, data_workers: workers } = event;
  const places = towers.map(({ tower, device, backing_device: backing }) => {
    const name = towerTitle(tower, towers.length, placement);
    const isThere = backing.toUpperCase().endsWith(device.toUpperCase());
    return isThere ? `${name} on ${device}` : `${name} on ${device} (TensorFlow reports ${backing})`;
  });
  const parts = towers.slice(0, placement === 'split' ? 2 : 1);
  const shares = parts.length > 1 ? ` (${parts.map((each) => count(each.parameters)).join(' and ')} by tower)` : '';
  return [
    places.join(', '),
    `data ${dataset.name}: ${imagesText(dataset)}, from ${dataset.source}`,
    ...(workers ? workersLines(workers) : []),
    `net ${config.net.table}: ${count(event.parameters)} parameters${shares}`,
  ];
}

/** `data workers: 6, decoding 6 images at the same time (8 cores, less one for each of 2 towers)`; nothing if none decodes. */
function workersLines({ workers, decoders, reason }: NonNullable<EventOf<'run_start'>['data_workers']>): string[] {
  if (decoders === undefined) return [];
  return [`data workers: ${count(workers)}, decoding ${plural(decoders, 'image')} at the same time (${reason})`];
}
