/** The data worker, with a fault at a training batch. */

import type { FillTask } from '../../src/data/batches/filler.js';
import fill from '../../src/data/batches/worker.js';
import { currentFault } from './fault.js';
import { strike } from './strike.js';

const fault = currentFault();

export default function fillWithFault(task: FillTask): ReturnType<typeof fill> {
  if (fault?.on !== 'data' || task.kind !== 'training' || task.number !== fault.step) return fill(task);
  // Not blocked: Piscina can end a thread that only never answers.
  if (fault.kind === 'hang') return new Promise(() => {});
  strike(fault.kind);
  return fill(task);
}
