/** What an acceptance finds: docs/gpu.md has every field. */
import { cpus, release } from 'node:os';
import { packageVersion } from '../../config/version.js';
import { usableCores, usableMemory } from '../../limits.js';
import { tensorflowVariables } from '../../native/install/environment.js';
import type { DriverCard } from '../../native/install/nvidia-smi.js';
import type { LookResult } from './jobs.js';

export type Status = 'passed' | 'failed' | 'skipped';

/** One check. */
export interface Row {
  check: string;
  status: Status;
  /** What was measured, for people; empty when nothing was. */
  figure: string;
  /** A sentence: why it failed or was left out. */
  why?: string;
  seconds: number;
  /** Every number of it. */
  detail?: object;
}

export interface AcceptReport {
  format: 1;
  command: 'alexnet-split accept';
  started: string;
  seconds: number;
  /** `stopped`: by a signal, before all was done. */
  status: 'passed' | 'failed' | 'stopped';
  quick: boolean;
  devices: readonly string[];
  versions: { alexnetSplit: string; node: string; tensorflow?: string };
  machine: { system: string; cpu: string; threads: number; memoryBytes: number };
  /** What is set of the variables that change what is computed, or where. */
  environment: Readonly<Record<string, string>>;
  /** As the driver has them; empty without `nvidia-smi`. */
  cards: readonly DriverCard[];
  topology?: string;
  tensorflow?: Pick<LookResult, 'library' | 'devices'>;
  checks: Row[];
}

/** A report without checks. */
export function newReport(devices: readonly string[], quick: boolean, now: Date): AcceptReport {
  return {
    ...{ format: 1, command: 'alexnet-split accept', started: now.toISOString(), seconds: 0 },
    ...{ status: 'stopped', quick, devices },
    versions: { alexnetSplit: packageVersion(), node: process.versions.node },
    machine: {
      system: `${process.platform} ${process.arch}, ${release()}`,
      cpu: cpus()[0]?.model ?? 'unknown',
      threads: usableCores(),
      memoryBytes: usableMemory().total,
    },
    environment: tensorflowVariables(),
    cards: [],
    checks: [],
  };
}
