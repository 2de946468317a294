/**
 * Kills a training over and over, resumes it each time, and compares what comes of it with a training that nobody
 * disturbed: `node dist/scripts/kill-test.js [kills] [seed] [flags of train …]`.
 */
import { spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { mkdtempSync, readdirSync, readFileSync, realpathSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { checkpointsFolder, newestCheckpoint } from '../src/checkpoint/store.js';
import { isWeightsName } from '../src/checkpoint/weights-files.js';

export interface KillTest {
  kills: number;
  seed: number;
  /** Steps of the run; some lie between two kills. */
  steps: number;
  flags: readonly string[];
  out: string;
  told(line: string): void;
}

export interface KillResult {
  /** Kills before the first step of their process, and after it. */
  early: number;
  late: number;
  /** SHA-256 of each weights file, by the two runs. */
  undisturbed: Record<string, string>;
  killed: Record<string, string>;
  /** Steps whose line of the log has another loss. */
  differing: number[];
}

/** A net that does everything, in a few milliseconds a step: dropout, crops and flips, momentum, thread of data. */
export const SMALL_RUN = ['--preset', 'mini', '--width', '0.125', '--batch-size', '8', '--no-check'];

const CLI = fileURLToPath(new URL('../src/cli.js', import.meta.url));
/** How long after a step's line the kill comes at most: about as long as a checkpoint takes to be written. */
const JITTER_MS = 40;
/** A quarter of the kills come before this time, in start-up. */
const START_MS = 2_500;

/** @throws Error when a resumed run does not go on from where its checkpoints are. */
export async function killTest({ kills, seed, steps, flags, out, told }: KillTest): Promise<KillResult> {
  const random = randomFrom(seed);
  const args = ['train', ...SMALL_RUN, ...flags, '--steps', String(steps), '--out', out];
  const whole = await runUntil([...args, '--run', 'undisturbed', '--checkpoint-every', '0'], undefined);
  if (whole.exitCode !== 0) throw new Error(`the undisturbed run ended with ${whole.exitCode}: ${whole.stderr}`);

  const resumed = [...args, '--run', 'killed', '--checkpoint-every', '1', '--resume', 'auto'];
  const folder = join(out, 'killed');
  let [early, late, step] = [0, 0, 0];
  while (early + late < kills) {
    const left = kills - early - late;
    const isEarly = random() < 0.25;
    const target = step + 1 + Math.floor((random() * 2 * (steps - step)) / (left + 1));
    const when = isEarly
      ? { afterMs: random() * START_MS }
      : { step: Math.min(target, steps - 1), afterMs: random() * JITTER_MS };
    const { exitCode, stderr, firstStep } = await runUntil(resumed, when);
    if (exitCode !== null) throw new Error(`a run that was to be killed ended with ${exitCode}: ${stderr}`);
    if (firstStep !== undefined && firstStep !== step + 1) {
      throw new Error(`the run went on with step ${firstStep}, and the newest checkpoint was of step ${step}`);
    }
    const { found, skipped } = newestCheckpoint(checkpointsFolder(folder));
    if (skipped.length > 0) throw new Error(`a kill left a torn checkpoint: ${JSON.stringify(skipped)}`);
    if ((found?.state.step ?? 0) < step) throw new Error(`a kill lost the checkpoint of step ${step}`);
    step = found?.state.step ?? 0;
    if (firstStep === undefined) early++;
    else late++;
    told(
      `kill ${early + late}: ${firstStep === undefined ? 'before the first step' : `from step ${firstStep}`}, newest checkpoint ${step}`,
    );
  }
  const last = await runUntil(resumed, undefined);
  if (last.exitCode !== 0) throw new Error(`the last run ended with ${last.exitCode}: ${last.stderr}`);
  const [a, b] = [join(out, 'undisturbed'), folder].map(lossesOf);
  return {
    ...{ early, late, undisturbed: hashesOf(join(out, 'undisturbed')), killed: hashesOf(folder) },
    differing: Array.from({ length: steps }, (_, i) => i + 1).filter((each) => a!.get(each) !== b!.get(each)),
  };
}

/** The loss of each step as text; of a step that was done twice, the last one's. */
export function lossesOf(run: string): Map<number, string> {
  const lines = readFileSync(join(run, 'log.ndjson'), 'utf8').trimEnd().split('\n');
  const events = lines.map((line) => JSON.parse(line) as { event: string; step: number; loss: number });
  return new Map(events.filter(({ event }) => event === 'train_step').map(({ step, loss }) => [step, String(loss)]));
}

/** SHA-256 of a run's weights files. */
export function hashesOf(run: string): Record<string, string> {
  const names = readdirSync(run).filter(isWeightsName).sort();
  return Object.fromEntries(
    names.map((name) => [
      name,
      createHash('sha256')
        .update(readFileSync(join(run, name)))
        .digest('hex'),
    ]),
  );
}

/**
 * Runs the trainer, and kills it a time after its start, or after the line of a step.
 * @returns its exit code, null when it was killed, and the first step that it told of.
 */
function runUntil(
  args: readonly string[],
  when: { step?: number; afterMs: number } | undefined,
): Promise<{ exitCode: number | null; stderr: string; firstStep: number | undefined }> {
  const child = spawn(process.execPath, [CLI, ...args, '--json'], { stdio: ['ignore', 'pipe', 'pipe'] });
  const kill = (afterMs: number) => setTimeout(() => child.kill('SIGKILL'), afterMs);
  if (when && when.step === undefined) kill(when.afterMs);
  let [text, stderr, isDue] = ['', '', false];
  let firstStep: number | undefined;
  child.stderr.on('data', (bytes) => {
    stderr += bytes;
  });
  child.stdout.on('data', (bytes) => {
    const lines = (text + bytes).split('\n');
    text = lines.pop()!;
    for (const line of lines) {
      const { event, step } = JSON.parse(line) as { event: string; step: number };
      if (event !== 'train_step') continue;
      firstStep ??= step;
      if (isDue || when?.step === undefined || step < when.step) continue;
      isDue = true;
      kill(when.afterMs);
    }
  });
  return new Promise((resolve) => {
    child.once('close', (exitCode) => resolve({ exitCode, stderr, firstStep }));
  });
}

/** Numbers from 0 to below 1 (mulberry32). */
function randomFrom(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let word = Math.imul(state ^ (state >>> 15), state | 1);
    word ^= word + Math.imul(word ^ (word >>> 7), word | 61);
    return ((word ^ (word >>> 14)) >>> 0) / 2 ** 32;
  };
}

async function main(args: readonly string[]): Promise<number> {
  const [kills = 50, seed = 1] = args.slice(0, 2).map(Number);
  const out = mkdtempSync(join(tmpdir(), 'alexnet-split-kill-'));
  const told = (line: string) => process.stdout.write(`${line}\n`);
  try {
    const result = await killTest({ kills, seed, steps: 4 * kills, flags: args.slice(2), out, told });
    const { early, late, undisturbed, killed, differing } = result;
    told(`${early + late} kills: ${early} before the first step, ${late} after it`);
    for (const [name, hash] of Object.entries(undisturbed)) told(`${name}  ${hash}  ${killed[name]}`);
    const isEqual = JSON.stringify(undisturbed) === JSON.stringify(killed) && differing.length === 0;
    told(isEqual ? 'the weights and every loss are equal' : `NOT EQUAL; losses differ in steps ${differing}`);
    return isEqual ? 0 : 1;
  } finally {
    rmSync(out, { recursive: true, force: true });
  }
}

if (process.argv[1] && realpathSync(process.argv[1]) === fileURLToPath(import.meta.url)) {
  process.exitCode = await main(process.argv.slice(2));
}
