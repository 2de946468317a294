/** The acceptance of a machine: runs every check in turn, each with a deadline, whatever the earlier ones found. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { Machine } from '../../config/config.js';
import { SplitError } from '../../errors.js';
import { runningTimeMs } from '../../running-time.js';
import type { Busy } from '../progress.js';
import { type Check, checksOf, firstChecks, type Jobs } from './checks.js';
import { type JobProcess, JobStopped, openJobProcess } from './job-process.js';
import { planOf } from './plan.js';
import { type AcceptReport, newReport, type Row } from './report.js';

export interface AcceptOptions {
  /** The names of two devices, or none for those that `train` would choose. */
  devices: readonly string[];
  /** Servers whose devices may be used, and where they reach the checking process. */
  servers?: readonly string[];
  coordinator?: string | undefined;
  /** Uses a small net and few steps. */
  quick: boolean;
}

export interface AcceptUi {
  /** Gets the report so far after each check. */
  report(report: AcceptReport, row: Row): void;
  /** Ends the running check, and all later ones. */
  signal: AbortSignal;
  now(): Date;
  busy?: Busy;
}

/** The program of the child process. It loads TensorFlow, so this process does not import it. */
const CHILD_FILE = fileURLToPath(new URL('./child.js', import.meta.url));

/** For all checks together. */
const BUDGET_MINUTES = 10;

/** @param open starts the child process; tests replace it. */
export async function accept(
  { devices: asked, servers = [], coordinator, quick }: AcceptOptions,
  { report: onRow, signal, now, busy }: AcceptUi,
  open: (signal: AbortSignal) => JobProcess = (each) => openJobProcess(CHILD_FILE, each),
): Promise<AcceptReport> {
  const [started, budgetStart] = [performance.now(), runningTimeMs()];
  const report = newReport(asked, quick, now());
  const folder = mkdtempSync(join(tmpdir(), 'alexnet-split-accept-'));
  const jobProcess = open(signal);
  try {
    const checks = firstChecks(report, { asked, servers, coordinator }, (found, devices) => {
      report.devices = devices;
      report.versions.tensorflow = found.tensorflow;
      report.tensorflow = { library: found.library, devices: found.devices };
      const machine: Machine = { devices: found.names, fashionMnist: false, now: now() };
      // The loop below continues with these.
      checks.push(...checksOf(planOf(devices, machine, quick, folder, coordinator)));
    });
    for (const check of checks) {
      if (signal.aborted) break;
      busy?.(`running the check: ${check.name}`);
      const row = await rowOf(check, jobProcess, BUDGET_MINUTES * 60_000 - (runningTimeMs() - budgetStart));
      if (!row) break;
      report.checks.push(row);
      report.seconds = (performance.now() - started) / 1000;
      onRow(report, row);
    }
    if (!signal.aborted) report.status = report.checks.some(({ status }) => status === 'failed') ? 'failed' : 'passed';
    return report;
  } finally {
    jobProcess.close();
    rmSync(folder, { recursive: true, force: true, maxRetries: 3 }); // the process that writes there may still be ending
  }
}

/** The result of a check; undefined if the signal stopped it. @param leftMs what is left of the budget. */
async function rowOf(check: Check, jobProcess: JobProcess, leftMs: number): Promise<Row | undefined> {
  const started = performance.now();
  const row = (status: Row['status'], why?: string, figure = '', detail?: object): Row => {
    const seconds = (performance.now() - started) / 1000;
    return { check: check.name, status, figure, ...(why && { why }), seconds, ...(detail && { detail }) };
  };
  if (leftMs <= 0) return row('failed', `it did not start: the ${BUDGET_MINUTES} minutes were over`);
  try {
    const jobs = jobsWithin(Math.min(check.deadlineMs, leftMs), jobProcess);
    const { figure, detail, failed, skipped } = await check.run(jobs);
    if (failed) return row('failed', failed, figure, detail);
    return row(skipped ? 'skipped' : 'passed', skipped, figure, detail);
  } catch (error) {
    if (error instanceof JobStopped) return undefined;
    if (!(error instanceof SplitError)) throw error;
    const late = leftMs < check.deadlineMs ? `; the ${BUDGET_MINUTES} minutes left too little time for it` : '';
    return row('failed', error.message + late);
  }
}

function jobsWithin(deadlineMs: number, jobProcess: JobProcess): Jobs {
  const started = runningTimeMs();
  const leftMs = () => deadlineMs - (runningTimeMs() - started);
  return {
    run: (job, options) => jobProcess.run(job, { ...options, deadlineMs: leftMs() }),
    runToDeath: (job) => jobProcess.runToDeath(job, { deadlineMs: leftMs() }),
  };
}
