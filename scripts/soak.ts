/**
 * Trains many times in a row, or for long, and watches exit codes and memory:
 * `node dist/scripts/soak.js [--runs 200] [--minutes 30]`. Ends with 1 when a run ends otherwise than it should, or when
 * memory grows by more than `MOST_GROWTH`.
 */
import { spawn } from 'node:child_process';
import { mkdirSync, mkdtempSync, realpathSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { SMALL_RUN } from './kill-test.js';

/** What memory may grow by from the first runs to the last, or over the long run after its first fifth: a share. */
export const MOST_GROWTH = 0.05;
/** Starting and compiling are over by then. */
const WARM_UP = 0.2;
const SAMPLES_PER_MINUTE = 12;
/** For what takes seconds: a run that hangs is a failure. */
const DEADLINE_MS = 180_000;

const CLI = fileURLToPath(new URL('../src/cli.js', import.meta.url));
/** Runs in the trainer's main thread, which has time: what the process holds, now and then, and its peak at the end. */
const WATCHER = `data:text/javascript,${encodeURIComponent(`
  import { writeSync } from 'node:fs';
  import { isMainThread } from 'node:worker_threads';
  const tell = (what, bytes) => writeSync(3, what + ' ' + bytes + '\\n');
  if (isMainThread) {
    setInterval(() => tell('now', process.memoryUsage.rss()), ${60_000 / SAMPLES_PER_MINUTE}).unref();
    process.on('exit', () => tell('peak', 1024 * process.resourceUsage().maxRSS));
  }`)}`;

export interface Ended {
  exitCode: number | null;
  stderr: string;
  seconds: number;
  /** Step and loss of the last `train_step`, and how often test images were evaluated. */
  step: number;
  loss: number;
  evaluations: number;
  /** Bytes of the process: at regular times, and at most. */
  samples: number[];
  peak: number;
}

/** Runs the trainer to its end, or kills it at its deadline. @param stopAfterMs sends SIGTERM then. */
function run(args: readonly string[], deadlineMs: number, stopAfterMs?: number): Promise<Ended> {
  const begun = performance.now();
  const child = spawn(process.execPath, ['--import', WATCHER, CLI, 'train', ...args, '--json'], {
    stdio: ['ignore', 'pipe', 'pipe', 'pipe'],
  });
  const nothing = { exitCode: null, stderr: '', seconds: 0, step: 0, loss: Number.NaN, evaluations: 0, peak: 0 };
  const ended: Ended = { ...nothing, samples: [] };
  if (stopAfterMs !== undefined) setTimeout(() => child.kill('SIGTERM'), stopAfterMs);
  const hang = setTimeout(() => child.kill('SIGKILL'), deadlineMs);
  child.stderr!.on('data', (bytes) => {
    ended.stderr += bytes;
  });
  eachLine(child.stdout!, (line) => {
    const { event, step, loss } = JSON.parse(line) as { event: string; step: number; loss: number };
    if (event === 'train_step') Object.assign(ended, { step, loss });
    if (event === 'eval') ended.evaluations++;
  });
  eachLine(child.stdio[3] as NodeJS.ReadableStream, (line) => {
    const [what, bytes] = line.split(' ');
    if (what === 'peak') ended.peak = Number(bytes);
    else ended.samples.push(Number(bytes));
  });
  return new Promise((resolve) => {
    child.once('close', (exitCode) => {
      clearTimeout(hang);
      resolve(Object.assign(ended, { exitCode, seconds: (performance.now() - begun) / 1000 }));
    });
  });
}

function eachLine(stream: NodeJS.ReadableStream, told: (line: string) => void): void {
  let text = '';
  stream.on('data', (bytes) => {
    const lines = (text + bytes).split('\n');
    text = lines.pop()!;
    for (const line of lines) told(line);
  });
}

/** Four IDX files of a few images: the time of a short run is to be that of starting and ending. */
function writeImages(folder: string): string {
  mkdirSync(folder);
  for (const [part, images] of [
    ['train', 64],
    ['t10k', 16],
  ] as const) {
    const words = (...values: number[]) => Buffer.from(Uint32Array.from(values).buffer).swap32();
    const pixels = Uint8Array.from({ length: images * 784 }, (_, i) => (i * 73 + (i >> 7) * 31) & 255);
    const labels = Uint8Array.from({ length: images }, (_, i) => i % 10);
    writeFileSync(join(folder, `${part}-images-idx3-ubyte`), Buffer.concat([words(0x803, images, 28, 28), pixels]));
    writeFileSync(join(folder, `${part}-labels-idx1-ubyte`), Buffer.concat([words(0x801, images), labels]));
  }
  return folder;
}

/** The kinds of short runs, in turn; a resumed one goes on from the split one before it. */
const KINDS: readonly (readonly [kind: string, flags: readonly string[]])[] = [
  ['split', ['--placement', 'split']],
  ['resumed', ['--steps', '8']],
  ['single', ['--placement', 'single']],
  ['float16', ['--placement', 'split', '--exchange-dtype', 'float16', '--exchange-checksum']],
  ['device', ['--placement', 'split', '--exchange', 'device', '--compile', 'off']],
];

/** Many short runs, each a process of its own; `soak-one.ts` has them in one. @returns what went wrong. */
export async function shortRuns(runs: number, out: string, told: (line: string) => void): Promise<string[]> {
  const data = writeImages(join(out, 'images'));
  const common = ['--out', out, '--eval-every', '2', '--checkpoint-every', '2'];
  const wrong: string[] = [];
  const peaks = new Map<string, number[]>(KINDS.map(([kind]) => [kind, []]));
  for (let i = 0; i < runs; i++) {
    const [kind, flags] = KINDS[i % KINDS.length]!;
    const folder = kind === 'resumed' ? `run-${i - 1}` : `run-${i}`;
    const fresh = [...SMALL_RUN, '--data', data, '--steps', '4', '--run', folder, ...flags, ...common];
    const args = kind === 'resumed' ? ['--resume', join(out, folder), ...flags] : fresh;
    const { exitCode, step, loss, evaluations, seconds, peak, stderr } = await run(args, DEADLINE_MS);
    const isWhole = exitCode === 0 && step === (kind === 'resumed' ? 8 : 4) && loss > 0 && evaluations > 0 && peak > 0;
    if (!isWhole) wrong.push(`run ${i + 1} (${kind}) ended with ${exitCode} after step ${step}: ${stderr.trim()}`);
    peaks.get(kind)!.push(peak);
    told(`run ${i + 1}, ${kind}: exit code ${exitCode}, ${seconds.toFixed(1)} s, ${inMb(peak)} at most`);
    if (kind !== 'split') rmSync(join(out, folder), { recursive: true, force: true });
  }
  for (const [kind, all] of peaks) {
    const some = Math.ceil(all.length / 4);
    const [first, last] = [meanOf(all.slice(0, some)), meanOf(all.slice(-some))];
    const growth = last / first - 1;
    told(`${kind}: ${all.length} runs, ${inMb(first)} at most in the first ${some}, ${inMb(last)} in the last`);
    if (growth > MOST_GROWTH) wrong.push(`${kind}: memory grew by ${(100 * growth).toFixed(1)} %`);
  }
  return wrong;
}

/**
 * One long run: some seconds to see how many steps a minute has, ended by SIGTERM, then resumed for so many minutes.
 * @returns what went wrong.
 */
export async function longRun(minutes: number, out: string, told: (line: string) => void): Promise<string[]> {
  const fresh = [...SMALL_RUN, '--out', out, '--run', 'long', '--eval-every', '500', '--checkpoint-every', '500'];
  const trialMs = Math.min(60_000, Math.max(10_000, minutes * 12_000));
  const trial = await run([...fresh, '--steps', '100000000'], trialMs + DEADLINE_MS, trialMs);
  if (trial.exitCode !== 143 || trial.step === 0)
    return [`the trial ended with ${trial.exitCode}: ${trial.stderr.trim()}`];
  // Starting takes some of the trial's time, so these are rather too few.
  const steps = Math.ceil(trial.step * (1 + (minutes * 60_000) / trialMs));
  const long = await run(['--resume', join(out, 'long'), '--steps', String(steps)], 3 * minutes * 60_000 + DEADLINE_MS);
  const { exitCode, samples, seconds } = long;
  told(
    `exit code ${exitCode} after ${long.step} steps, ${long.evaluations} evaluations and ${(seconds / 60).toFixed(1)} minutes`,
  );
  if (exitCode !== 0 || long.step !== steps) return [`the long run ended with ${exitCode}: ${long.stderr.trim()}`];
  const warm = samples.slice(Math.ceil(WARM_UP * samples.length));
  if (warm.length < 3) return [`${samples.length} samples of memory are too few: take more --minutes`];
  const growth = growthOf(warm);
  const [first, middle, last] = [warm[0]!, warm[Math.floor(warm.length / 2)]!, warm.at(-1)!];
  const hourly = slopeOf(warm) * SAMPLES_PER_MINUTE * 60;
  told(
    `memory after the first fifth: ${inMb(first)}, middle ${inMb(middle)}, last ${inMb(last)}, peak ${inMb(long.peak)}`,
  );
  told(`slope of ${warm.length} samples: ${inMb(hourly)} an hour, ${(100 * growth).toFixed(1)} % over the time`);
  return growth > MOST_GROWTH ? [`memory grew by ${(100 * growth).toFixed(1)} %`] : [];
}

function meanOf(values: readonly number[]): number {
  return values.reduce((sum, value) => sum + value, 0) / values.length;
}

/** Of the line nearest to the values, from one to the next (least squares). */
export function slopeOf(values: readonly number[]): number {
  const [middle, mean] = [(values.length - 1) / 2, meanOf(values)];
  const sum = (of: (x: number, i: number) => number) => values.reduce((total, value, i) => total + of(value, i), 0);
  return sum((value, i) => (i - middle) * (value - mean)) / sum((_, i) => (i - middle) ** 2);
}

/** By how much the values grew from the first to the last, by their slope: a share of their mean. */
export function growthOf(values: readonly number[]): number {
  return (slopeOf(values) * (values.length - 1)) / meanOf(values);
}

function inMb(bytes: number): string {
  return `${(bytes / 1e6).toFixed(1)} MB`;
}

async function main(): Promise<number> {
  const { values } = parseArgs({ options: { runs: { type: 'string' }, minutes: { type: 'string' } } });
  const [runs, minutes] = [Number(values.runs ?? (values.minutes ? 0 : 200)), Number(values.minutes ?? 0)];
  const out = mkdtempSync(join(tmpdir(), 'alexnet-split-soak-'));
  const told = (line: string) => void process.stdout.write(`${line}\n`);
  try {
    const wrong = [
      ...(runs > 0 ? await shortRuns(runs, out, told) : []),
      ...(minutes > 0 ? await longRun(minutes, out, told) : []),
    ];
    for (const line of wrong) told(`WRONG: ${line}`);
    if (wrong.length === 0) told('every exit code as it should be, and memory within its bound');
    return wrong.length === 0 ? 0 : 1;
  } finally {
    rmSync(out, { recursive: true, force: true });
  }
}

if (process.argv[1] && realpathSync(process.argv[1]) === fileURLToPath(import.meta.url))
  process.exitCode = await main();
