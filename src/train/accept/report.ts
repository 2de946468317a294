/** The report of an acceptance; docs/gpu.md documents every field. */
import { cpus, release } from 'node:os';
import { packageVersion } from '../../config/version.js';
import { usableCores, usableMemory } from '../../limits.js';
import { tensorflowVariables } from '../../native/install/environment.js';
import type { DriverCard } from '../../native/install/nvidia-smi.js';
import type { JobResults } from './child.js';

export interface Row {
  check: string;
  status: 'passed' | 'failed' | 'skipped';
  /** The measured values, for people; may be empty. */
  figure: string;
  /** Why it failed or was skipped. */
  why?: string;
  seconds: number;
  detail?: object;
}

export type AcceptReport = ReturnType<typeof newReport>;

/** A report without checks. */
export function newReport(devices: readonly string[], quick: boolean, now: Date) {
  return {
    ...{ format: 1, command: 'alexnet-split accept', started: now.toISOString(), seconds: 0 },
    /** `stopped`: a signal came before the last check was done. */
    status: 'stopped' as 'passed' | 'failed' | 'stopped',
    ...{ quick, devices },
    versions: {
      ...{ alexnetSplit: packageVersion(), node: process.versions.node },
      tensorflow: undefined as string | undefined,
    },
    machine: {
      system: `${process.platform} ${process.arch}, ${release()}`,
      cpu: cpus()[0]?.model ?? 'unknown',
      threads: usableCores(),
      memoryBytes: usableMemory().total,
    },
    /** The environment variables that change what TensorFlow computes, or where. */
    environment: tensorflowVariables(),
    /** As the driver reports them; empty without `nvidia-smi`. */
    cards: [] as readonly DriverCard[],
    topology: undefined as string | undefined,
    tensorflow: undefined as Pick<JobResults['devices'], 'library' | 'devices'> | undefined,
    checks: [] as Row[],
  };
}
