/** The batches of a training: each is filled, and on its way to the GPUs, while the step before it runs. */
import type { BatchFeeder } from '../data/index.js';
import type { Team } from './team.js';

/** @param last the last step. */
export function openUpcoming(feeder: BatchFeeder, team: Team, last: number) {
  let next: { step: number; batch: ReturnType<typeof load> } | undefined;

  async function load(step: number) {
    const batch = await feeder.train(step);
    return { batch, staged: team.stage(batch) };
  }

  return {
    /** The batch of a step, lent as by `feeder.train`, which says what it throws. */
    take(step: number): ReturnType<typeof load> {
      const found = next?.step === step ? next.batch : load(step);
      next = undefined;
      return found;
    },
    /** Asks for a step's batch before it is needed. An error is thrown when it is taken. */
    prepare(step: number): void {
      if (step > last) return;
      const batch = load(step);
      batch.catch(() => {});
      next = { step, batch };
    },
  };
}
