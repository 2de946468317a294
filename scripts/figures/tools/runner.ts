/** Runs the command lines of a maker, in a folder of their own, and reads what they leave there. */
import { spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { existsSync, mkdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { EventName, EventOf, LogEvent } from '../../../src/log.js';
import { eventsIn } from '../../trainer.js';
import { ROOT, startedBy } from './commands.js';

const SCRIPTS = join(ROOT, 'dist', 'scripts');
const CLI = join(ROOT, 'dist', 'src', 'cli.js');

export interface Ended {
  /** stdout, then stderr. */
  printed: string;
  seconds: number;
  /** The largest resident memory of the process in bytes. */
  peakBytes: number;
}

export interface Ablation {
  /** The ablation's folder, with `ablation.json`. */
  folder: string;
  /** The events of a variant's run. @param seed default 1. */
  events(variant: string, seed?: number): LogEvent[];
}

export interface Runner {
  /** Where the commands run. What a maker puts here is removed at the end. */
  readonly folder: string;
  /**
   * Runs a training to its end, unless its run is in the folder and done.
   * @param line `npm run train…`; a run without `--run` gets `name`.
   * @returns the events of its log.
   */
  train(line: string, name: string): Promise<LogEvent[]>;
  /** Runs an ablation, or goes on with it.  */
  ablate(line: string, name: string): Promise<Ablation>;
  /**
   * Runs any command. @param more flags that are not part of the figure. @param options `cwd`: where, by default the folder.
   * @throws Error if it fails and may not.
   */
  run(line: string, more?: readonly string[], options?: { mayFail?: boolean; cwd?: string }): Promise<Ended>;
  /** Runs a benchmark. @returns what it saves. */
  bench<T>(line: string): Promise<T>;
}

/** In the main thread of each command: writes its peak of memory to descriptor 3. */
const PEAK = `data:text/javascript,${encodeURIComponent(`
  import { writeSync } from 'node:fs';
  import { isMainThread } from 'node:worker_threads';
  if (isMainThread) process.on('exit', () => writeSync(3, String(1024 * process.resourceUsage().maxRSS)));`)}`;

/**
 * @param commands those that the maker says it runs; others are refused.
 * @param folder in which the commands run. Runs that are there and done are not trained again.
 */
export function openRunner(commands: readonly string[], folder: string, say: (line: string) => void): Runner {
  mkdirSync(folder, { recursive: true });
  const run: Runner['run'] = async (line, more = [], { mayFail = false, cwd = folder } = {}) => {
    if (!commands.includes(line)) throw new Error(`the maker does not name this command: ${line}`);
    const { program, args } = startedBy(line);
    const files = { 'alexnet-split': CLI, bench: join(SCRIPTS, 'bench', 'bench.js'), node: undefined };
    const file = files[program] ?? join(ROOT, args.shift()!);
    say(`$ ${[line, ...more].join(' ')}`);
    const started = performance.now();
    const child = spawn(process.execPath, ['--import', PEAK, file, ...args, ...more], {
      cwd,
      stdio: ['ignore', 'pipe', 'pipe', 'pipe'],
    });
    const texts = { stdout: '', stderr: '', peak: '' };
    const keep = (stream: NodeJS.ReadableStream, name: keyof typeof texts) =>
      stream.setEncoding('utf8').on('data', (text: string) => {
        texts[name] += text;
      });
    keep(child.stdout!, 'stdout');
    keep(child.stderr!, 'stderr');
    keep(child.stdio[3] as NodeJS.ReadableStream, 'peak');
    const [code] = await once(child, 'close');
    const printed = texts.stdout + texts.stderr;
    if (code !== 0 && !mayFail) throw new Error(`${line} ended with ${code}: ${printed.trim()}`);
    return { printed, seconds: (performance.now() - started) / 1000, peakBytes: Number(texts.peak) };
  };
  const named = (line: string, name: string) => (/ --run /.test(line) ? [] : ['--run', name]);
  return {
    folder,
    run,
    async train(line, name) {
      const made = join(folder, 'runs', name);
      if (!isDone(made)) await run(line, [...named(line, name), '--quiet']);
      return eventsIn(made);
    },
    async ablate(line, name) {
      await run(line, [...named(line, name), '--quiet']);
      const made = join(folder, 'runs', name);
      return { folder: made, events: (variant, seed = 1) => eventsIn(join(made, `${variant}-seed${seed}`)) };
    },
    async bench<T>(line: string) {
      const file = join(folder, benchFile(line));
      if (!existsSync(file)) await run(line, ['--save', file]);
      return JSON.parse(readFileSync(file, 'utf8')) as T;
    },
  };
}

/** The name of the file that a benchmark saves: two lines may differ in any word. */
export function benchFile(line: string): string {
  return `bench-${createHash('sha256').update(line).digest('hex').slice(0, 16)}.json`;
}

function isDone(run: string): boolean {
  return existsSync(run) && of(eventsIn(run), 'run_end').at(-1)?.status === 'done';
}

/** The events of a name. */
export function of<Name extends EventName>(events: readonly LogEvent[], name: Name): EventOf<Name>[] {
  return events.filter((event): event is EventOf<Name> => event.event === name);
}
