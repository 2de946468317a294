/** The report of an acceptance; docs/gpu.md documents every field. */
import { cpus, release } from 'node:os';
import { packageVersion } from '../../config/version.js';
import { usableCores, usableMemory } from '../../limits.js';
import { tensorflowVariables } from '../../native/install/environment.js';
import type { DriverCard } from '../../native/install/nvidia-smi.js';
import type { JobResults } from './child.js';

export type Status = 'passed' | 'failed' | 'skipped';

/** The result of one check. */
export interface Row {
  check: string;
  status: Status;
  /** The measured values, for people; may be empty. */
  figure: string;
  /** Why it failed or was skipped. */
  why?: string;
  seconds: number;
  /** All measured values. */
  detail?: object;
}

export interface AcceptReport {
  format: 1;
  command: 'alexnet-split accept';
  started: string;
  seconds: number;
  /** `stopped`: a signal came before the last check was done. */
  status: 'passed' | 'failed' | 'stopped';
  quick: boolean;
  devices: readonly string[];
  versions: { alexnetSplit: string; node: string; tensorflow?: string };
  machine: { system: string; cpu: string; threads: number; memoryBytes: number };
  /** The environment variables that change what TensorFlow computes, or where. */
  environment: Readonly<Record<string, string>>;
  /** As the driver reports them; empty without `nvidia-smi`. */
  cards: readonly DriverCard[];
  topology?: string | undefined;
  tensorflow?: Pick<JobResults['devices'], 'library' | 'devices'>;
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
