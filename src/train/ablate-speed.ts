/** How fast a variant's steps are beside the baseline's, in several processes. */
import { fileURLToPath } from 'node:url';
import type { Config } from '../config/config.js';
import type { SpeedRounds } from './ablate-rounds.js';
import { type JobProcess, openJobProcess } from './accept/job-process.js';

/**
 * Rounds of one process have its placement of threads and memory in common, so an interval of them alone is too narrow.
 * Processes are independent, at least of each other's placement.
 */
const PROCESSES = 5;
/** A step of a large net may take a minute on a CPU. */
const DEADLINE_MS = 3_600_000;
const CHILD_FILE = fileURLToPath(new URL('./accept/child.js', import.meta.url));

/**
 * Measures the two nets beside each other, in one new process after the other.
 * @returns the rounds of each process. @throws JobError if a process fails.
 */
export async function compareSpeeds(
  baseline: Config,
  changed: Config,
  open: () => JobProcess = () => openJobProcess(CHILD_FILE, new AbortController().signal),
): Promise<SpeedRounds[]> {
  const jobs = open();
  try {
    const found: SpeedRounds[] = [];
    for (let i = 0; i < PROCESSES; i++) {
      const job = { kind: 'compare', config: baseline, changed } as const;
      found.push(await jobs.run(job, { deadlineMs: DEADLINE_MS, fresh: true }));
    }
    return found;
  } finally {
    jobs.close();
  }
}
