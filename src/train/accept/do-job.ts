/** Does a job, in the process that it is asked of. */
import { join } from 'node:path';
import { checkpointsFolder, newestCheckpoint } from '../../checkpoint/store.js';
import type { Config } from '../../config/config.js';
import { gpusOf } from '../../config/devices.js';
import { SplitError } from '../../errors.js';
import { buildNet, sitesOf } from '../../model/net.js';
import { currentBinding, useDevice } from '../../native/binding/backend.js';
import { listDevices, openContext } from '../../native/c/context.js';
import { examineGpus } from '../../native/c/cuda.js';
import { gpuTrouble } from '../../native/install/gpu-support.js';
import { findLibrary } from '../../native/install/library.js';
import { cardTopology, listCards } from '../../native/install/nvidia-smi.js';
import { contextOptions, settingsNames } from '../context-options.js';
import { type GoldenRow, verifyGolden } from '../golden.js';
import { openTeam } from '../team.js';
import { train } from '../train.js';
import { type VerifyResult, verify } from '../verify.js';
import { measureCopies } from './copies.js';
import type { CardsResult, ComparisonResult, ExchangeResult, Job, JobResults, LookResult, RunResult } from './jobs.js';
import { findKernels } from './kernels.js';
import { measureSpeed } from './speed.js';

/** @throws SplitError for what TensorFlow or the machine refuses. */
export async function doJob(job: Job): Promise<JobResults[Job['kind']]> {
  if (job.kind === 'cards') return findCards();
  if (job.kind === 'look') return look(job.devices);
  const { config } = job;
  openContext(contextOptions(config.net.table, config.devices));
  switch (job.kind) {
    case 'kernels':
      return findKernels(config);
    case 'copies':
      return measureCopies(config);
    case 'exchange':
      return testExchange(config);
    case 'verify':
      return verified(await verify(config, job, { print: () => {} }));
    case 'golden':
      return compared((await verifyGolden(job.file, config)).rows);
    case 'speed':
      return measureSpeed(config, job.seconds);
    case 'run':
      return runOnce(config, job);
  }
}

function findCards(): CardsResult {
  const cards = listCards() ?? [];
  const topology = cards.length > 1 ? cardTopology() : undefined;
  return { cards, ...(topology !== undefined && { topology }) };
}

function look(asked: readonly string[]): LookResult {
  const options = contextOptions('original', asked);
  const devices = listDevices(options);
  const library = findLibrary();
  useDevice('CPU:0'); // only to be told its version
  const names = settingsNames(devices, options);
  const facts = asked.length === 0 && gpusOf(names).length === 0 ? examineGpus(0) : undefined;
  const trouble = facts && gpuTrouble(facts);
  return {
    tensorflow: currentBinding().version,
    library: `${library?.flavour}, from ${library?.source}`,
    devices,
    names,
    ...(trouble !== undefined && { trouble }),
  };
}

async function testExchange(config: Config): Promise<ExchangeResult> {
  const team = await openTeam(config, []);
  try {
    const started = performance.now();
    const sites = sitesOf(buildNet(config.net)).length;
    const [warning] = team.warnings;
    if (warning !== undefined) return { sites, wrong: warning, ms: 0, replies: [] };
    const replies = await team.ask({ kind: 'selfTest' });
    const wrong = replies.find((each) => each.wrong !== undefined)?.wrong;
    return { sites, ...(wrong !== undefined && { wrong }), ms: performance.now() - started, replies };
  } finally {
    await team.close();
  }
}

/** How many of the tensors that are furthest off go into the report. */
const REPORTED = 12;

function verified({ passed, rows, losses, firstDivergent, tolerances }: VerifyResult): ComparisonResult {
  const shares = [
    ...losses.map(({ step, relative }) => ({ name: `the loss of step ${step}`, relative, allowed: tolerances.loss })),
    ...rows.map(({ name, kind, relative }) => ({ name, relative, allowed: tolerances[kind] })),
  ];
  // NaN is the worst of all.
  const share = ({ relative, allowed }: (typeof shares)[number]) => (relative >= 0 ? relative / allowed : Infinity);
  const sorted = shares.sort((a, b) => (share(a) === share(b) ? 0 : share(b) - share(a)));
  const worst = sorted.find(({ name }) => name === firstDivergent) ?? sorted[0]!;
  const detail = { losses, furthest: sorted.slice(0, REPORTED) };
  return { passed, worst: worst.relative, allowed: worst.allowed, where: worst.name, detail };
}

function compared(rows: readonly GoldenRow[]): ComparisonResult {
  const share = ({ worst, tolerance }: GoldenRow) => (worst >= 0 ? worst / tolerance : Infinity);
  const [furthest] = [...rows].sort((a, b) => (share(a) === share(b) ? 0 : share(b) - share(a)));
  const { side, kind, name, worst, tolerance } = furthest!;
  const passed = rows.every((row) => row.worst <= row.tolerance);
  return { passed, worst, allowed: tolerance, where: `${kind} of the ${side}, ${name}`, detail: { rows } };
}

async function runOnce(config: Config, { resume, dies }: { resume: boolean; dies: boolean }): Promise<RunResult> {
  const folder = join(config.out, config.run);
  const found = resume ? newestCheckpoint(checkpointsFolder(folder)).found : undefined;
  if (resume && !found) throw new SplitError(`the run that was killed left no whole checkpoint in ${folder}`);
  let failure = 'it was stopped';
  const { exitCode } = await train(config, {
    signal: new AbortController().signal,
    resume: found && { checkpoint: found, skipped: [] },
    report: (event) => {
      if (event.event === 'run_end') failure = event.error ?? failure;
      // By itself, so that it is dead before its next step however fast that would be.
      if (dies && event.event === 'checkpoint' && event.step < config.steps!) process.kill(process.pid, 'SIGKILL');
    },
  });
  if (exitCode !== 0) throw new SplitError(failure);
  return { folder, from: found?.state.step ?? 0 };
}
