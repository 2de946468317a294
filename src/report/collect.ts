/** Collects what a report says of a run from the events of its log, one after the other, in bounded memory. */
import { existsSync } from 'node:fs';
import { basename, join, resolve } from 'node:path';
import { checkpointsFolder } from '../checkpoint/store.js';
import { truncate } from '../errors.js';
import type { EventOf, LogEvent } from '../log.js';
import { stepsIn, worstOf } from '../step-lines.js';
import type { Curve, LogProblem, MemoryPoint, RunReport, SiteBytes } from './model.js';
import type { Parsed } from './read-log.js';
import { CurveBuilder, EvenList, NewestList } from './series.js';
import { newerVersion } from './settings.js';
import { MAX_TOWERS, StepTimer } from './step-time.js';

const MAX_PROBLEMS = 100;
const MAX_WARNINGS = 200;
/** Characters. */
const MAX_MESSAGE = 1000;
const MAX_CHECKPOINTS = 200;
const MAX_TRACES = 10;
const MAX_SITES = 64;
const MAX_LINKS = 64;

type Step = EventOf<'train_step'>;
type Eval = RunReport['evals'][number];
type Curves = Pick<RunReport, 'loss' | 'top1' | 'learningRate' | 'imagesPerSecond'>;

/** A run's log so far. Give it the lines in their order; events that no longer count come as {@link RunCollector.skip}. */
export class RunCollector {
  #log = {
    ...{ problems: 0, firstProblems: [] as LogProblem[], unknownEvents: 0, unknownFields: 0 },
    ...{ repeatedSteps: 0, stepsPerLine: 1 },
  };
  #newer: string | undefined;
  #started: number | null = null;
  #ended: number | null = null;
  #start: EventOf<'run_start'> | undefined;
  /** Of the last process. */
  #end: EventOf<'run_end'> | undefined;
  #check: EventOf<'check'> | undefined;
  /** Whether the next step is the first of its process, which compiles. */
  #isFirst = true;
  #steps = 0;
  #images = 0;
  #curves = {
    ...{ loss: new CurveBuilder(), top1: new CurveBuilder() },
    ...{ learningRate: new CurveBuilder(), imagesPerSecond: new CurveBuilder() },
  };
  #timer = new StepTimer();
  /** A step whose time counts unless it was traced. An event between it and the next step says so. */
  #pending: Step | undefined;
  #timed = '';
  #evals = new EvenList<Eval>();
  #memory = new EvenList<MemoryPoint>();
  #exchange: EventOf<'exchange'> | undefined;
  #network: EventOf<'network'> | undefined;
  #activations: RunReport['activations'] = {};
  #warnings: RunReport['warnings'][number][] = [];
  #furtherWarnings = 0;
  #checkpoints = new NewestList<EventOf<'checkpoint'>>(MAX_CHECKPOINTS);
  #traces = new NewestList<EventOf<'trace'>>(MAX_TRACES);

  /** @param folder of the run, where its checkpoints are looked for. */
  constructor(readonly folder: string) {}

  /** Takes a line. */
  add(parsed: Parsed, line: number): void {
    if (parsed.kind === 'bad') this.problem(line, parsed.message);
    if (parsed.kind === 'bad' || parsed.kind === 'blank') return;
    this.#started ??= parsed.time;
    this.#ended = Math.max(parsed.time, this.#ended ?? parsed.time); // clocks are set back
    if (parsed.kind === 'other') this.#log.unknownEvents++;
    else {
      this.#log.unknownFields += parsed.unknown.length;
      this.#addEvent(parsed.event);
    }
  }

  /** Takes an event that a later line replaced. */
  skip(event: LogEvent): void {
    if (event.event === 'train_step') this.#log.repeatedSteps += stepsIn(event);
  }

  problem(line: number, message: string): void {
    this.#log.problems++;
    if (this.#log.firstProblems.length < MAX_PROBLEMS) this.#log.firstProblems.push({ line, message });
  }

  #addEvent(event: LogEvent): void {
    switch (event.event) {
      case 'run_start':
        this.#addStart(event);
        break;
      case 'servers_back':
        this.end(); // the next step compiles again
        this.#isFirst = true;
        this.#steps = event.step;
        break;
      case 'resume':
        this.#steps = event.step;
        break;
      case 'check':
        this.#check = event;
        break;
      case 'train_step':
        this.#addStep(event);
        break;
      case 'eval': {
        const { step, epoch, images, loss, top1, top5 } = event;
        this.#evals.add({ step, epoch, images, loss, top1, top5 });
        break;
      }
      case 'memory': {
        const towers = event.towers.slice(0, MAX_TOWERS).map(({ tensor_bytes }) => tensor_bytes);
        this.#memory.add({ step: event.step, resident: event.resident_bytes, towers });
        break;
      }
      case 'exchange':
        this.#exchange = event;
        break;
      case 'network':
        this.#network = { ...event, links: event.links.slice(0, MAX_LINKS) };
        break;
      case 'activations':
        this.#activations = { first: this.#activations.first ?? event, last: event };
        break;
      case 'checkpoint':
        this.#checkpoints.add(event);
        break;
      case 'trace':
        if (event.step === this.#pending?.step) this.#pending = undefined;
        this.#traces.add(event);
        break;
      case 'warning':
        this.#addWarning(event);
        break;
      case 'run_end':
        this.end();
        this.#end = event;
        break;
    }
  }

  #addStart(event: EventOf<'run_start'>): void {
    this.end();
    this.#start = event;
    this.#end = undefined;
    this.#isFirst = true;
    this.#newer = newerVersion(event) ?? this.#newer;
    // Steps on other devices, or of other batches, take another time.
    const { batchSize } = event.config as { batchSize?: unknown };
    const timed = JSON.stringify([event.placement, event.towers.map(({ device }) => device), batchSize]);
    if (timed !== this.#timed) {
      this.#timer = new StepTimer();
      this.#exchange = undefined;
    }
    this.#timed = timed;
  }

  #addStep(event: Step): void {
    const { step } = event;
    const steps = stepsIn(event);
    this.end();
    this.#steps = step;
    this.#log.stepsPerLine = Math.max(this.#log.stepsPerLine, steps);
    this.#images += event.images;
    this.#curves.loss.add(step, event.loss, steps, worstOf(event, 'loss'));
    this.#curves.top1.add(step, event.top1, steps);
    this.#curves.learningRate.add(step, event.learning_rate, steps);
    if (!this.#isFirst) {
      this.#curves.imagesPerSecond.add(step, event.images_per_s, steps);
      this.#pending = event;
    }
    this.#isFirst = false;
  }

  /** Says that no more events come about the last step. */
  end(): void {
    if (this.#pending) this.#timer.add(this.#pending);
    this.#pending = undefined;
  }

  #addWarning({ message, kind, step }: EventOf<'warning'>): void {
    if (this.#warnings.length === MAX_WARNINGS) this.#furtherWarnings++;
    else this.#warnings.push({ step: step ?? null, ...(kind && { kind }), message: truncate(message, MAX_MESSAGE) });
  }

  /** @returns what is known so far. `lines` and `bytes` are those of the log. */
  report({ lines, bytes }: { lines: number; bytes: number }): RunReport {
    const [start, end] = [this.#start, this.#end];
    const time = this.#timer.time(start);
    const curves = Object.entries(this.#curves).map(([name, builder]): [string, Curve] => [name, builder.curve()]);
    return {
      ...{ run: start?.run ?? basename(resolve(this.folder)), folder: this.folder },
      status: end?.status ?? (this.#started === null ? 'empty' : 'unfinished'),
      ...(end?.error !== undefined && { error: end.error }),
      ...{ started: this.#started, ended: this.#ended },
      log: {
        ...{ lines, bytes, ...this.#log, firstProblems: [...this.#log.firstProblems] },
        ...(this.#newer !== undefined && { newerVersion: this.#newer }),
      },
      ...(start && { start }),
      ...(this.#check && { check: this.#check }),
      ...{ steps: end?.steps ?? this.#steps, images: end?.images ?? this.#images },
      ...(Object.fromEntries(curves) as unknown as Curves),
      evals: this.#evals.list(),
      ...(time && { time }),
      exchange: sitesOf(this.#exchange),
      ...(this.#network && { network: this.#network }),
      memory: this.#memory.list(),
      activations: this.#activations,
      warnings: [...this.#warnings],
      furtherWarnings: this.#furtherWarnings,
      checkpoints: this.#checkpoints.list().map(({ step, folder, bytes: size }) => {
        // The run's folder may have been moved, so the name counts. A log from elsewhere names other folders.
        const own = join(checkpointsFolder(this.folder), basename(folder));
        return { step, folder: own, bytes: size, exists: existsSync(own) };
      }),
      traces: this.#traces.list(),
      kernels: [],
    };
  }
}

/** Sums over the towers. */
function sitesOf(event: EventOf<'exchange'> | undefined): SiteBytes[] {
  const sites = new Map<string, SiteBytes>();
  for (const { site, direction, bytes } of event?.sites ?? []) {
    const sums = sites.get(site) ?? { site, forward: 0, backward: 0 };
    sums[direction] += bytes;
    if (sites.size < MAX_SITES) sites.set(site, sums);
  }
  return [...sites.values()];
}
