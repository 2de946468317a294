/** The process in which the acceptance's parts run: a crash within TensorFlow, or a hang, is then one part's alone. */
import { fileURLToPath } from 'node:url';
import { END_SIGNALS } from '../../end-signals.js';
import { exitAtOnce } from '../../native/c/exit.js';
import { doJob } from './do-job.js';
import type { Answer, Job } from './jobs.js';

/** This file, to be started. */
export const CHILD_FILE = fileURLToPath(import.meta.url);

if (process.send !== undefined && process.argv[1] === CHILD_FILE) {
  // A terminal's Ctrl-C comes to the whole group; the parent decides.
  for (const name of END_SIGNALS) process.on(name, () => {});
  process.on('disconnect', () => exitAtOnce(1));
  process.on('message', async (job: Job) => {
    const answer: Answer = await doJob(job).then(
      (result) => ({ ok: true, result }),
      (error: unknown) => ({ ok: false, message: error instanceof Error ? error.message : String(error) }),
    );
    process.send?.(answer);
  });
}
