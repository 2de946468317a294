/**
 * Kills a training many times, resumes it each time, and compares the result with that of an undisturbed training:
 * `node dist/scripts/kill-test.js [kills] [seed] [flags of train …]`.
 */
import { createHash } from 'node:crypto';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { checkpointsFolder, newestCheckpoint } from '../src/checkpoint/store.js';
import { isWeightsName } from '../src/checkpoint/weights-files.js';
import { draw, PURPOSE, unit } from '../src/random.js';
import { eventsIn, inTemporaryFolder, isEntry, print, SMALL_RUN, startTrainer } from './trainer.js';

export interface KillTest {
  kills: number;
  seed: number;
  /** Steps of the run. There have to be several per kill. */
  steps: number;
  flags: readonly string[];
  out: string;
  onProgress(line: string): void;
}

export interface KillResult {
  /** Kills before the first step of their process, and after it. */
  early: number;
  late: number;
  /** SHA-256 of each weights file of the two runs. */
  undisturbed: Record<string, string>;
  killed: Record<string, string>;
  /** Steps with different losses in the two logs. */
  differing: number[];
}

/** The maximum delay of a kill after a step: about as long as writing a checkpoint takes. */
const JITTER_MS = 40;
/** A quarter of the kills come before this time, during start-up. */
const START_MS = 2_500;

/** @throws Error if a run does not resume from its newest checkpoint. */
export async function killTest({ kills, seed, steps, flags, out, onProgress }: KillTest): Promise<KillResult> {
  let drawn = 0;
  const random = () => unit(draw(seed, PURPOSE.sample, 0, 0, drawn++)[0]);
  const args = [...SMALL_RUN, ...flags, '--steps', String(steps), '--out', out];
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
      throw new Error(`the run resumed with step ${firstStep}, but its newest checkpoint is of step ${step}`);
    }
    const { found, skipped } = newestCheckpoint(checkpointsFolder(folder));
    if (skipped.length > 0) throw new Error(`a kill left an incomplete checkpoint: ${JSON.stringify(skipped)}`);
    if ((found?.state.step ?? 0) < step) throw new Error(`a kill lost the checkpoint of step ${step}`);
    step = found?.state.step ?? 0;
    if (firstStep === undefined) early++;
    else late++;
    onProgress(
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

/** Returns the loss of each step as text. If a step was done twice, the last loss counts. */
function lossesOf(run: string): Map<number, string> {
  return new Map(
    eventsIn(run).flatMap((each) => (each.event === 'train_step' ? [[each.step, String(each.loss)] as const] : [])),
  );
}

/** SHA-256 of a run's weights files. */
function hashesOf(run: string): Record<string, string> {
  const hash = (name: string) =>
    createHash('sha256')
      .update(readFileSync(join(run, name)))
      .digest('hex');
  return Object.fromEntries(
    readdirSync(run)
      .filter(isWeightsName)
      .sort()
      .map((name) => [name, hash(name)]),
  );
}

/**
 * Runs the trainer, and kills it some time after its start, or after a step.
 * @returns its exit code, null if it was killed, and the first step that it reported.
 */
async function runUntil(
  args: readonly string[],
  when: { step?: number; afterMs: number } | undefined,
): Promise<{ exitCode: number | null; stderr: string; firstStep: number | undefined }> {
  let isDue = false;
  let firstStep: number | undefined;
  const { child, ended } = startTrainer(args, (event) => {
    if (event.event !== 'train_step') return;
    firstStep ??= event.step;
    if (isDue || when?.step === undefined || event.step < when.step) return;
    isDue = true;
    kill(when.afterMs);
  });
  const kill = (afterMs: number) => setTimeout(() => child.kill('SIGKILL'), afterMs);
  if (when && when.step === undefined) kill(when.afterMs);
  const end = await ended;
  return { ...end, firstStep };
}

async function main(args: readonly string[]): Promise<number> {
  const [kills = 50, seed = 1] = args.slice(0, 2).map(Number);
  const { early, late, undisturbed, killed, differing } = await inTemporaryFolder('kill', (out) =>
    killTest({ kills, seed, steps: 4 * kills, flags: args.slice(2), out, onProgress: print }),
  );
  print(`${early + late} kills: ${early} before the first step, ${late} after it`);
  for (const [name, hash] of Object.entries(undisturbed)) print(`${name}  ${hash}  ${killed[name]}`);
  const isEqual = JSON.stringify(undisturbed) === JSON.stringify(killed) && differing.length === 0;
  print(isEqual ? 'the weights and all losses are equal' : `NOT EQUAL: the losses differ in steps ${differing}`);
  return isEqual ? 0 : 1;
}

if (isEntry(import.meta.url)) process.exitCode = await main(process.argv.slice(2));
