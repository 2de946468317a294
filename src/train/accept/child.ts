/** The program of the child process: one function for each job. A crash or a hang of TensorFlow ends this process alone. */
import { join } from 'node:path';
import { checkpointsFolder, newestCheckpoint } from '../../checkpoint/store.js';
import type { Config } from '../../config/config.js';
import { gpusOf } from '../../config/devices.js';
import { END_SIGNALS } from '../../end-signals.js';
import { SplitError } from '../../errors.js';
import { buildNet, sitesOf } from '../../model/net.js';
import { currentBinding, useDevice } from '../../native/binding/backend.js';
import { listDevices, openContext } from '../../native/c/context.js';
import { examineGpus } from '../../native/c/cuda.js';
import { exitAtOnce } from '../../native/c/exit.js';
import { gpuTrouble } from '../../native/install/gpu-support.js';
import { findLibrary } from '../../native/install/library.js';
import { cardTopology, type DriverCard, listCards } from '../../native/install/nvidia-smi.js';
import { compareRounds } from '../ablate-rounds.js';
import { clusterOf, contextOptions, type Places, settingsNames } from '../context-options.js';
import { verifyGolden } from '../golden.js';
import { openTeam } from '../team.js';
import { train } from '../train.js';
import { verify } from '../verify.js';
import { measureCopies } from './copies.js';
import { findKernels, measureSpeed } from './steps.js';

/** Each job takes and returns values that can go from process to process. */
const JOBS = {
  cards,
  devices,
  kernels: ({ config }: { config: Config }) => findKernels(config),
  copies: ({ config }: { config: Config }) => measureCopies(config),
  exchange,
  verify: compareWithReference,
  golden: compareWithFile,
  speed: ({ config, seconds }: { config: Config; seconds: number }) => measureSpeed(config, seconds),
  run: runOnce,
  compare: ({ config, changed }: { config: Config; changed: Config }) => compareRounds(config, changed),
};

export type JobKind = keyof typeof JOBS;
export type JobOf<Kind extends JobKind> = { kind: Kind } & Parameters<(typeof JOBS)[Kind]>[0];
export type Job = { [Kind in JobKind]: JobOf<Kind> }[JobKind];
export type JobResults = { [Kind in JobKind]: Awaited<ReturnType<(typeof JOBS)[Kind]>> };

export type Answer = { ok: true; result: unknown } | { ok: false; message: string };

/** Asks the driver for its cards. It runs here because a driver that hangs blocks the process that asks. */
function cards(_: object): { cards: readonly DriverCard[]; topology: string | undefined } {
  const found = listCards() ?? [];
  return { cards: found, topology: found.length > 1 ? cardTopology() : undefined };
}

/** The names of devices that the user gave, and the servers. */
export interface DevicesJob extends Omit<Places, 'devices'> {
  asked: readonly string[];
}

/** Creates the context and lists the devices. */
async function devices({ asked, servers = [], coordinator }: DevicesJob) {
  const options = contextOptions('original', asked, await clusterOf({ devices: asked, servers, coordinator }));
  const found = listDevices(options);
  const library = findLibrary();
  useDevice('CPU:0'); // loads the binding, which knows the version
  const names = settingsNames(found, options);
  const facts = asked.length + servers.length === 0 && gpusOf(names).length === 0 ? examineGpus(0) : undefined;
  return {
    tensorflow: currentBinding().version,
    /** For which devices the library is, and where it was found. */
    library: `${library?.flavour}, from ${library?.source}`,
    devices: found,
    /** The devices' names in the settings. */
    names,
    /** Why TensorFlow has no GPU, if there is a card and the user asked for no other devices. */
    trouble: facts && gpuTrouble(facts),
  };
}

/** Sends known values across at every site. @returns `wrong`: where others arrived, or why the transport is not in use. */
async function exchange({ config }: { config: Config }) {
  const team = await openTeam(config);
  try {
    const started = performance.now();
    const sites = sitesOf(buildNet(config.net)).length;
    const [warning] = team.warnings;
    if (warning !== undefined) return { sites, wrong: warning, ms: 0, replies: [] };
    const replies = await team.ask({ kind: 'selfTest' });
    const wrong = replies.find((each) => each.wrong !== undefined)?.wrong;
    return { sites, wrong, ms: performance.now() - started, replies };
  } finally {
    await team.close();
  }
}

interface ComparisonResult {
  passed: boolean;
  /** The value nearest to its tolerance. */
  worst: number;
  allowed: number;
  where: string;
  /** For the report. */
  detail: object;
}

/** How many of the tensors with the largest differences go into the report. */
const REPORTED = 12;

async function compareWithReference({ config, steps }: { config: Config; steps: number }): Promise<ComparisonResult> {
  const result = await verify(config, { steps }, { print: () => {} });
  const { passed, rows, losses, firstDivergent, tolerances } = result;
  const sorted = worstFirst([
    ...losses.map(({ step, relative }) => ({ name: `the loss of step ${step}`, relative, allowed: tolerances.loss })),
    ...rows.map(({ name, kind, relative }) => ({ name, relative, allowed: tolerances[kind] })),
  ]);
  const worst = sorted.find(({ name }) => name === firstDivergent) ?? sorted[0]!;
  const detail = { losses, furthest: sorted.slice(0, REPORTED) };
  return { passed, worst: worst.relative, allowed: worst.allowed, where: worst.name, detail };
}

async function compareWithFile({ config, file }: { config: Config; file: string }): Promise<ComparisonResult> {
  const { rows } = await verifyGolden(file, config);
  const [first] = worstFirst(rows.map((row) => ({ ...row, relative: row.worst, allowed: row.tolerance })));
  const { side, kind, name, worst, tolerance } = first!;
  const passed = rows.every((row) => row.worst <= row.tolerance);
  return { passed, worst, allowed: tolerance, where: `${kind} of the ${side}, ${name}`, detail: { rows } };
}

/** Sorts by the share of the tolerance; NaN is the worst of all. */
function worstFirst<T extends { relative: number; allowed: number }>(rows: readonly T[]): T[] {
  const share = ({ relative, allowed }: T) => (relative >= 0 ? relative / allowed : Infinity);
  return [...rows].sort((a, b) => (share(a) === share(b) ? 0 : share(b) - share(a)));
}

/**
 * Trains; `resume` continues from the newest checkpoint, and `dies` kills the process after the first one.
 * @returns the step from which it went on.
 */
async function runOnce({ config, resume, dies }: { config: Config; resume: boolean; dies: boolean }) {
  const folder = join(config.out, config.run);
  const found = resume ? newestCheckpoint(checkpointsFolder(folder)).found : undefined;
  if (resume && !found) throw new SplitError(`the killed run left no complete checkpoint in ${folder}`);
  let failure = 'it was stopped';
  const { exitCode } = await train(config, {
    signal: new AbortController().signal,
    resume: found && { checkpoint: found, skipped: [] },
    report: (event) => {
      if (event.event === 'run_end') failure = event.error ?? failure;
      // The process kills itself, so that it is dead before its next step, however short a step is.
      if (dies && event.event === 'checkpoint' && event.step < config.steps!) process.kill(process.pid, 'SIGKILL');
    },
  });
  if (exitCode !== 0) throw new SplitError(failure);
  return { from: found?.state.step ?? 0 };
}

async function answer(job: Job): Promise<Answer> {
  try {
    if ('config' in job) {
      const { net, devices } = job.config;
      openContext(contextOptions(net.table, devices, await clusterOf(job.config)));
    }
    const run = JOBS[job.kind] as (job: Job) => unknown;
    return { ok: true, result: await run(job) };
  } catch (error) {
    return { ok: false, message: error instanceof Error ? error.message : String(error) };
  }
}

// Ctrl-C in a terminal goes to all processes of the group; the parent decides what happens.
for (const name of END_SIGNALS) process.on(name, () => {});
process.on('disconnect', () => exitAtOnce(1));
process.on('message', async (job: Job) => process.send?.(await answer(job)));
