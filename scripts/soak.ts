/**
 * Trains many times in a row, or for long, and checks exit codes and memory:
 * `node dist/scripts/soak.js [--runs 200] [--minutes 30]`. Ends with 1 if a run fails, or if memory grows by more than
 * `MAX_GROWTH`.
 */
import { mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { DATA_FILES, type Images, loadDataset } from '../src/data/index.js';
import { toIdx } from './make-sample.js';
import { eachLine, inTemporaryFolder, isEntry, print, SMALL_RUN, startTrainer } from './trainer.js';

/** The allowed growth of memory, as a share: from the first runs to the last, or over a long run after its first fifth. */
export const MAX_GROWTH = 0.05;
/** The share of a run, or of many runs, that does not count: they start the thread pools, compile, and fill caches. */
export const WARM_UP = 0.2;
const SAMPLES_PER_MINUTE = 12;
/** For short runs, which take seconds: a run that hangs is a failure. */
const DEADLINE_MS = 180_000;

/** Runs in the trainer's main thread: writes the memory of the process at regular times, and its peak at the end. */
const MEMORY_MONITOR = `data:text/javascript,${encodeURIComponent(`
  import { writeSync } from 'node:fs';
  import { isMainThread } from 'node:worker_threads';
  const write = (name, bytes) => writeSync(3, name + ' ' + bytes + '\\n');
  if (isMainThread) {
    setInterval(() => write('now', process.memoryUsage.rss()), ${60_000 / SAMPLES_PER_MINUTE}).unref();
    process.on('exit', () => write('peak', 1024 * process.resourceUsage().maxRSS));
  }`)}`;

/**
 * Runs the trainer to its end, or kills it at its deadline.
 * @param stopAfterMs when to send SIGTERM.
 * @returns its end, step and loss of its last `train_step`, and the memory in bytes: at regular times, and the peak.
 */
async function run(args: readonly string[], deadlineMs: number, stopAfterMs?: number) {
  const begun = performance.now();
  const result = { step: 0, loss: Number.NaN, evaluations: 0, samples: [] as number[], peak: 0 };
  const { child, ended } = startTrainer(
    args,
    (event) => {
      if (event.event === 'train_step') Object.assign(result, { step: event.step, loss: event.loss });
      if (event.event === 'eval') result.evaluations++;
    },
    ['--import', MEMORY_MONITOR],
  );
  if (stopAfterMs !== undefined) setTimeout(() => child.kill('SIGTERM'), stopAfterMs);
  const deadline = setTimeout(() => child.kill('SIGKILL'), deadlineMs);
  eachLine(child.stdio[3] as NodeJS.ReadableStream, (line) => {
    const [name, bytes] = line.split(' ');
    if (name === 'peak') result.peak = Number(bytes);
    else result.samples.push(Number(bytes));
  });
  const end = await ended;
  clearTimeout(deadline);
  return { ...result, ...end, seconds: (performance.now() - begun) / 1000 };
}

/** Writes a data set of a few images, so that a short run spends its time on starting and ending. */
function writeImages(folder: string): string {
  const { train, test, height, width } = loadDataset('embedded', 10);
  const first = (set: Images, images: number) => toIdx(set, [...Array(images).keys()], height, width);
  const contents = [...first(train, 64), ...first(test, 16)];
  mkdirSync(folder);
  DATA_FILES.forEach((name, i) => {
    writeFileSync(join(folder, name), contents[i]!);
  });
  return folder;
}

/** The kinds of short runs, in turn. A resumed run continues the split run before it. */
const KINDS: readonly (readonly [kind: string, flags: readonly string[]])[] = [
  ['split', ['--placement', 'split']],
  ['resumed', ['--steps', '8']],
  ['single', ['--placement', 'single']],
  ['float16', ['--placement', 'split', '--exchange-dtype', 'float16', '--exchange-checksum']],
  ['device', ['--placement', 'split', '--exchange', 'device', '--compile', 'off']],
];

/** Trains many times, each time in a new process (`soak-one.ts` uses one process). @returns the failures. */
export async function shortRuns(runs: number, out: string, onProgress: (line: string) => void): Promise<string[]> {
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
    onProgress(`run ${i + 1}, ${kind}: exit code ${exitCode}, ${seconds.toFixed(1)} s, peak memory ${inMb(peak)}`);
    if (kind !== 'split') rmSync(join(out, folder), { recursive: true, force: true });
  }
  for (const [kind, all] of peaks) {
    const quarter = Math.ceil(all.length / 4);
    const [first, last] = [meanOf(all.slice(0, quarter)), meanOf(all.slice(-quarter))];
    const growth = last / first - 1;
    onProgress(
      `${kind}: ${all.length} runs, mean peak memory ${inMb(first)} in the first ${quarter}, ${inMb(last)} in the last ${quarter}`,
    );
    if (growth > MAX_GROWTH) wrong.push(`${kind}: memory grew by ${(100 * growth).toFixed(1)} %`);
  }
  return wrong;
}

/**
 * Trains for long: first for some seconds, to find out how many steps fit in a minute. SIGTERM ends that run, which is then
 * resumed for the given minutes.
 * @returns the failures.
 */
export async function longRun(minutes: number, out: string, onProgress: (line: string) => void): Promise<string[]> {
  const fresh = [...SMALL_RUN, '--out', out, '--run', 'long', '--eval-every', '500', '--checkpoint-every', '500'];
  const trialMs = Math.min(60_000, Math.max(10_000, minutes * 12_000));
  const trial = await run([...fresh, '--steps', '100000000'], trialMs + DEADLINE_MS, trialMs);
  if (trial.exitCode !== 143 || trial.step === 0)
    return [`the trial ended with ${trial.exitCode}: ${trial.stderr.trim()}`];
  // These are rather too few, because the trial includes the start-up.
  const steps = Math.ceil(trial.step * (1 + (minutes * 60_000) / trialMs));
  const long = await run(['--resume', join(out, 'long'), '--steps', String(steps)], 3 * minutes * 60_000 + DEADLINE_MS);
  const { exitCode, samples, seconds } = long;
  onProgress(
    `exit code ${exitCode} after ${long.step} steps, ${long.evaluations} evaluations and ${(seconds / 60).toFixed(1)} minutes`,
  );
  if (exitCode !== 0 || long.step !== steps) return [`the long run ended with ${exitCode}: ${long.stderr.trim()}`];
  const warm = samples.slice(Math.ceil(WARM_UP * samples.length));
  if (warm.length < 3) return [`${samples.length} samples of memory are too few: take more --minutes`];
  const growth = growthOf(warm);
  const [first, middle, last] = [warm[0]!, warm[Math.floor(warm.length / 2)]!, warm.at(-1)!];
  const hourly = slopeOf(warm) * SAMPLES_PER_MINUTE * 60;
  onProgress(
    `memory after the first fifth: ${inMb(first)}, middle ${inMb(middle)}, last ${inMb(last)}, peak ${inMb(long.peak)}`,
  );
  onProgress(`slope of ${warm.length} samples: ${inMb(hourly)} an hour, ${(100 * growth).toFixed(1)} % over the time`);
  return growth > MAX_GROWTH ? [`memory grew by ${(100 * growth).toFixed(1)} %`] : [];
}

function meanOf(values: readonly number[]): number {
  return values.reduce((sum, value) => sum + value, 0) / values.length;
}

/** Returns the slope of the least-squares line through the values, per value. */
export function slopeOf(values: readonly number[]): number {
  const [middle, mean] = [(values.length - 1) / 2, meanOf(values)];
  const sum = (of: (x: number, i: number) => number) => values.reduce((total, value, i) => total + of(value, i), 0);
  return sum((value, i) => (i - middle) * (value - mean)) / sum((_, i) => (i - middle) ** 2);
}

/** Returns how much the values grew from the first to the last, by their slope, as a share of their mean. */
export function growthOf(values: readonly number[]): number {
  return (slopeOf(values) * (values.length - 1)) / meanOf(values);
}

export function inMb(bytes: number): string {
  return `${(bytes / 1e6).toFixed(1)} MB`;
}

async function main(): Promise<number> {
  const { values } = parseArgs({ options: { runs: { type: 'string' }, minutes: { type: 'string' } } });
  const [runs, minutes] = [Number(values.runs ?? (values.minutes ? 0 : 200)), Number(values.minutes ?? 0)];
  const wrong = await inTemporaryFolder('soak', async (out) => [
    ...(runs > 0 ? await shortRuns(runs, out, print) : []),
    ...(minutes > 0 ? await longRun(minutes, out, print) : []),
  ]);
  for (const line of wrong) print(`WRONG: ${line}`);
  if (wrong.length === 0) print('all runs ended with the expected exit code, and memory stayed within its limit');
  return wrong.length === 0 ? 0 : 1;
}

if (isEntry(import.meta.url)) process.exitCode = await main();
