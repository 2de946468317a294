/** The acceptance of a machine: every check in turn, each with its deadline, whatever became of those before. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Machine } from '../../config/config.js';
import { defaultDevices } from '../../config/devices.js';
import { SplitError } from '../../errors.js';
import { runningTimeMs } from '../../running-time.js';
import { type Check, CheckFailed, checksOf, type Finding } from './checks.js';
import { CHILD_FILE } from './child.js';
import type { CardsResult, LookResult } from './jobs.js';
import { planOf } from './plan.js';
import { type AcceptReport, newReport, type Row } from './report.js';
import { JobStopped, openWorker, type Worker } from './worker.js';

export interface AcceptOptions {
  /** Two of the settings' names, or none: as `train` chooses them. */
  devices: readonly string[];
  /** A small net and few steps. */
  quick: boolean;
}

export interface AcceptUi {
  /** Takes the report as it is after each check. */
  report(report: AcceptReport, row: Row): void;
  /** Ends the check that runs, and all after it. */
  signal: AbortSignal;
  now(): Date;
}

/** All checks together. */
const BUDGET_MS = 600_000;
const CARDS_MS = 60_000;
/** Loads gigabytes from a disk that may be slow, and wakes the cards. */
const LOOK_MS = 120_000;

/**
 * Runs the checks.
 * @param open the process that does the work, for tests.
 */
export async function accept(
  { devices: asked, quick }: AcceptOptions,
  { report: told, signal, now }: AcceptUi,
  open: (signal: AbortSignal) => Worker = (each) => openWorker(CHILD_FILE, each),
): Promise<AcceptReport> {
  const started = performance.now();
  const begun = runningTimeMs();
  const report = newReport(asked, quick, now());
  const folder = mkdtempSync(join(tmpdir(), 'alexnet-split-accept-'));
  const worker = open(signal);
  const checked = async (check: Check): Promise<boolean> => {
    const leftMs = BUDGET_MS - (runningTimeMs() - begun);
    const row = await rowOf(check, worker, leftMs);
    if (!row) return false;
    report.checks.push(row);
    report.seconds = (performance.now() - started) / 1000;
    told(report, row);
    return row.status !== 'failed';
  };
  try {
    const plan: { checks?: Check[] } = {};
    const look = deviceCheck(asked, (found, devices) => {
      report.devices = devices;
      report.versions.tensorflow = found.tensorflow;
      report.tensorflow = { library: found.library, devices: found.devices };
      const machine: Machine = { devices: found.names, fashionMnist: false, now: now() };
      plan.checks = checksOf(planOf(devices, machine, quick, folder));
    });
    const cards = cardCheck((found) => Object.assign(report, found));
    await checked(cards);
    if (!signal.aborted) await checked(look);
    for (const check of plan.checks ?? []) {
      if (signal.aborted) break;
      await checked(check);
    }
    if (!signal.aborted) report.status = report.checks.some(({ status }) => status === 'failed') ? 'failed' : 'passed';
    return report;
  } finally {
    worker.close();
    rmSync(folder, { recursive: true, force: true, maxRetries: 3 }); // the process that writes there may be dying yet
  }
}

/** What the driver says, with or without TensorFlow. @param found takes it. */
function cardCheck(found: (cards: CardsResult) => void): Check {
  return {
    name: 'cards',
    deadlineMs: CARDS_MS,
    async run(worker, deadlineMs) {
      const result = await worker.run<'cards'>({ kind: 'cards' }, { deadlineMs });
      found(result);
      const { cards } = result;
      if (cards.length === 0) return { figure: '', skipped: 'there is no nvidia-smi, or it has no card' };
      const names = cards.map(
        ({ name, computeCapability }) => `${name} (${computeCapability ?? 'of unknown capability'})`,
      );
      return { figure: `${names.join(', ')}; driver ${cards[0]!.driver}` };
    },
  };
}

/** That TensorFlow loads, and has the devices. @param found takes what the others need to know. */
function deviceCheck(asked: readonly string[], found: (look: LookResult, devices: string[]) => void): Check {
  return {
    name: 'devices',
    deadlineMs: LOOK_MS,
    async run(worker, deadlineMs) {
      const look = await worker.run<'look'>({ kind: 'look', devices: asked }, { deadlineMs });
      if (look.trouble !== undefined) {
        throw new CheckFailed(
          `TensorFlow has no GPU, though there is an NVIDIA card: ${look.trouble}; --devices CPU:0,CPU:1 is for the CPU`,
        );
      }
      const [devices] = asked.length > 0 ? [[...asked]] : defaultDevices('split', look.names);
      found(look, devices);
      const sizes = devices.map((name) => {
        const bytes = look.devices[look.names.indexOf(name)]?.memoryBytes ?? Number.NaN;
        return `${name} ${(bytes / 2 ** 30).toFixed(1)} GiB`;
      });
      return { figure: `${sizes.join(', ')}; TensorFlow ${look.tensorflow}` };
    },
  };
}

/** What became of a check; undefined when it was stopped. */
async function rowOf({ name, deadlineMs, run }: Check, worker: Worker, leftMs: number): Promise<Row | undefined> {
  const started = performance.now();
  const row = (finding: Omit<Row, 'check' | 'seconds'>): Row => {
    const { status, figure, why, detail } = finding;
    const seconds = (performance.now() - started) / 1000;
    return { check: name, status, figure, ...(why && { why }), seconds, ...(detail && { detail }) };
  };
  const minutes = BUDGET_MS / 60_000;
  if (leftMs <= 0)
    return row({ status: 'failed', figure: '', why: `it was not begun: the ${minutes} minutes were over` });
  try {
    const { figure, detail, skipped }: Finding = await run(worker, Math.min(deadlineMs, leftMs));
    return row({
      status: skipped ? 'skipped' : 'passed',
      figure,
      ...(skipped && { why: skipped }),
      ...(detail && { detail }),
    });
  } catch (error) {
    if (error instanceof JobStopped) return undefined;
    if (!(error instanceof SplitError)) throw error;
    const { figure = '', detail } = error instanceof CheckFailed ? error : {};
    const late = leftMs < deadlineMs ? `; of the ${minutes} minutes too little was left for it` : '';
    return row({ status: 'failed', figure, why: error.message + late, ...(detail && { detail }) });
  }
}
