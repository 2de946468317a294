/** What the layers make of some test images: before a run's first step, and after each evaluation. */
import type { BatchFeeder } from '../data/index.js';
import type { EventOf } from '../log.js';
import { orStopped, unlessStopped } from './stop.js';
import type { Team } from './team.js';

/**
 * A pass over the feeder's sample of the test images, the same ones each time; it changes nothing.
 * @param step the last step that was done; 0 is before the first.
 * @param graceMs how long the towers are waited for once the signal is there.
 * @returns undefined when the run is told to stop while the batch is waited for, or when none of its images can be read.
 * @throws Stopped when the signal comes and the towers are not done in time.
 */
export async function measureActivations(
  team: Team,
  feeder: BatchFeeder,
  step: number,
  signal: AbortSignal,
  graceMs: number,
): Promise<EventOf<'activations'> | undefined> {
  const batch = await unlessStopped(feeder.sample(), signal);
  if (!batch || batch.count === 0) return undefined;
  const { slot, count } = batch;
  const replies = await orStopped(team.ask({ kind: 'measure', slot, count, step }), signal, graceMs);
  const all = replies.flat();
  const names = [...new Set(all.map(({ layer }) => layer))];
  const layers = names.flatMap((name) => all.filter(({ layer }) => layer === name));
  return { event: 'activations', step, images: count, layers };
}
