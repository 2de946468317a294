/** Checks a log: each line against the schema of its event, the sums that must hold, and the order of the events. */
import { packageVersion } from '../config/version.js';
import type { EventOf, LogEvent } from '../log.js';
import { firstStepOf, stepsIn } from '../step-lines.js';
import { ms } from './limit.js';
import type { LogProblem } from './model.js';
import { LOG_START, linesOf, type Parsed, parseLine } from './read-log.js';
import { newerVersion } from './settings.js';

/** How many problems and notes are kept. All are counted. */
const MOST = 100;

/** Differences of sums that are rounding. */
const TOLERANCE = 1e-6;
/** Of the parts of a traced step, which come from another clock. */
const TRACE_TOLERANCE = 0.01;

export interface LogCheck {
  lines: number;
  events: number;
  runs: number;
  /** The number of all problems. */
  problemCount: number;
  /** The first ones. */
  problems: readonly LogProblem[];
  /** What is worth a word and not wrong. */
  notes: readonly LogProblem[];
}

/** @throws SplitError if the log cannot be read. */
export async function checkLog(file: string): Promise<LogCheck> {
  const checker = new LogChecker();
  for await (const lines of linesOf(file, { ...LOG_START })) {
    for (const line of lines) {
      const parsed = parseLine(line);
      const isCut = !line.isWhole && parsed.kind !== 'bad';
      checker.see(
        isCut ? { kind: 'bad', message: 'it is cut off: it does not end with a newline' } : parsed,
        line.number,
      );
    }
  }
  return checker.result();
}

/** Sees the lines of a log in their order. */
class LogChecker {
  #lines = 0;
  #events = 0;
  #runs = 0;
  #problems: LogProblem[] = [];
  #problemCount = 0;
  #notes: LogProblem[] = [];
  #time = Number.NEGATIVE_INFINITY;
  #newer: string | undefined;
  #start: EventOf<'run_start'> | undefined;
  #hasEnded = false;
  #step = 0;
  #last: EventOf<'train_step'> | undefined;

  see(parsed: Parsed, line: number): void {
    this.#lines = line;
    if (parsed.kind === 'blank') this.#note(line, 'it is blank');
    else if (parsed.kind === 'bad') this.#problem(line, parsed.message);
    else {
      this.#events++;
      if (parsed.time < this.#time) this.#note(line, 'time: it is before that of the line above');
      this.#time = parsed.time;
      if (parsed.kind === 'other') this.#unknown(line, `${parsed.name}: this event is not known`);
      else {
        if (parsed.event.event === 'run_start') this.#begin(parsed.event);
        for (const path of parsed.unknown) this.#unknown(line, `${path}: this field is not known`);
        for (const message of [...sumProblems(parsed.event), ...this.#orderProblems(parsed.event)]) {
          this.#problem(line, message);
        }
      }
    }
  }

  result(): LogCheck {
    return {
      ...{ lines: this.#lines, events: this.#events, runs: this.#runs },
      ...{ problemCount: this.#problemCount, problems: this.#problems, notes: this.#notes },
    };
  }

  #begin(event: EventOf<'run_start'>): void {
    this.#newer = newerVersion(event);
    this.#runs++;
    this.#start = event;
    this.#hasEnded = false;
    this.#step = 0;
    this.#last = undefined;
  }

  /** A newer version may have what this one does not know. */
  #unknown(line: number, message: string): void {
    if (this.#newer === undefined) this.#problem(line, message);
    else this.#note(line, `${message}; version ${this.#newer} wrote the log, and this is ${packageVersion()}`);
  }

  #problem(line: number, message: string): void {
    this.#problemCount++;
    if (this.#problems.length < MOST) this.#problems.push({ line, message });
  }

  #note(line: number, message: string): void {
    if (this.#notes.length < MOST) this.#notes.push({ line, message });
  }

  #orderProblems(event: LogEvent): string[] {
    const name = event.event;
    if (!this.#start) return [`${name}: expected run_start before it`];
    if (this.#hasEnded) return [`${name}: expected nothing after run_end but run_start`];
    switch (name) {
      case 'resume':
      case 'servers_back':
        this.#step = event.step;
        return [];
      case 'train_step':
        return this.#stepProblems(event, this.#start);
      case 'eval':
      case 'activations':
      case 'memory':
      case 'network':
        return differs(`${name}.step`, event.step, this.#step, 'the last step');
      case 'exchange':
        return [
          ...differs('exchange.step', event.step, this.#step, 'the last step'),
          ...(this.#last
            ? differs(
                'exchange.sites[].bytes',
                sum(event.sites, 'bytes'),
                this.#last.exchange_bytes,
                'the exchange_bytes of the step',
              )
            : []),
        ];
      case 'checkpoint':
      case 'trace':
        return event.step <= this.#step ? [] : [`${name}.step: ${event.step} is after the last step, ${this.#step}`];
      case 'run_end':
        this.#hasEnded = true;
        return differs('run_end.steps', event.steps, this.#step, 'the last step');
      default:
        return [];
    }
  }

  #stepProblems(event: EventOf<'train_step'>, start: EventOf<'run_start'>): string[] {
    // Logs of older versions do not say after which step a run resumes.
    const first = firstStepOf(event);
    const expected = this.#step === 0 ? first : this.#step + 1;
    const [found, towers] = [event.towers.length, start.towers.length];
    this.#step = event.step;
    this.#last = event;
    return [
      ...(first === expected
        ? []
        : [`train_step.step: expected ${expected + stepsIn(event) - 1}, found ${event.step}`]),
      ...(found === towers ? [] : [`train_step.towers: expected ${towers} towers, found ${found}`]),
    ];
  }
}

/** The sums that docs/log-events.md states. */
function sumProblems(event: LogEvent): string[] {
  if (event.event === 'network') {
    return event.links.flatMap(({ counted_bytes: counted, contents }) =>
      differs('network.links[].counted_bytes', counted, sum(contents, 'bytes'), 'the sum of its contents'),
    );
  }
  if (event.event === 'train_step') {
    const { data_ms, compute_ms, exchange_ms, wait_ms, other_ms, step_ms } = event;
    return [
      ...unequal('train_step.step_ms', step_ms, data_ms + compute_ms + exchange_ms + wait_ms + other_ms, 'its parts'),
      ...event.towers.flatMap((tower) => {
        const parts = tower.compute_ms + tower.exchange_ms + tower.wait_ms;
        return unequal(`train_step.towers.${tower.tower}.step_ms`, tower.step_ms, parts, 'its parts');
      }),
      ...differs(
        'train_step.exchange_bytes',
        event.exchange_bytes,
        sum(event.towers, 'exchange_bytes'),
        'the sum over the towers',
      ),
      ...speedProblem('train_step', event.images_per_s, event.images, step_ms),
      ...worstProblems(event),
    ];
  }
  if (event.event === 'run_end') return speedProblem('run_end', event.images_per_s, event.images, event.train_ms);
  if (event.event !== 'trace') return [];
  return event.towers.flatMap(({ tower, parts_ms }) => {
    const parts = Object.values(parts_ms).reduce((total, each) => total + each, 0);
    return unequal(`trace.towers.${tower}.parts_ms`, parts, event.step_ms, 'the step', TRACE_TOLERANCE);
  });
}

/** No step takes longer than all of them, and the worst one no less than the mean. */
function worstProblems(event: EventOf<'train_step'>): string[] {
  const { steps = 1, worst } = event;
  const problems =
    Number.isSafeInteger(steps) && steps >= 1 ? [] : [`train_step.steps: expected a number from 1 on, found ${steps}`];
  for (const name of ['step_ms', 'data_ms', 'compute_ms', 'exchange_ms', 'wait_ms'] as const) {
    const [found = Number.NaN, sum] = [worst?.[name], event[name]];
    const [low, high] = [sum / stepsIn(event), sum];
    if (found < low && !isClose(found, low, TOLERANCE))
      problems.push(`train_step.worst.${name}: ${ms(found)} is less than the mean, ${ms(low)}`);
    if (found > high && !isClose(found, high, TOLERANCE))
      problems.push(`train_step.worst.${name}: ${ms(found)} is more than the sum, ${ms(high)}`);
  }
  return problems;
}

function speedProblem(name: string, speed: number, images: number, milliseconds: number): string[] {
  const expected = milliseconds > 0 ? (images / milliseconds) * 1000 : 0;
  if (!Number.isFinite(milliseconds) || isClose(speed, expected, TOLERANCE)) return [];
  return [`${name}.images_per_s: ${speed} is not the images divided by the time, ${expected}`];
}

function unequal(field: string, found: number, expected: number, what: string, tolerance = TOLERANCE): string[] {
  if (isClose(found, expected, tolerance)) return [];
  return [`${field}: ${ms(found)} is not the sum of ${what}, ${ms(expected)}`];
}

function differs(field: string, found: number, expected: number, what: string): string[] {
  return found === expected ? [] : [`${field}: expected ${what}, ${expected}, found ${found}`];
}

/** Numbers that are not finite are close to anything: they have no sum. */
function isClose(a: number, b: number, tolerance: number): boolean {
  if (!Number.isFinite(a) || !Number.isFinite(b)) return true;
  return Math.abs(a - b) <= tolerance * Math.max(1, Math.abs(a), Math.abs(b));
}

function sum<Key extends string>(items: readonly Record<Key, number>[], key: Key): number {
  return items.reduce((total, each) => total + each[key], 0);
}
