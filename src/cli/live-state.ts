/** What a training's events say about its present state: the numbers of the terminal view. */
import { towerTitle } from '../event-lines.js';
import type { EventOf, LogEvent } from '../log.js';
import { sumOf } from '../numbers.js';
import { firstStepOf } from '../step-lines.js';

/** The speed, and the shares of exchange and wait, are means over this time. */
const RECENT_MS = 5_000;
/** The steps of the sparkline and of the time left. A log's tail of {@link TAIL_BYTES} has about as many. */
const KEPT_STEPS = 2_000;
export const TAIL_BYTES = 2 * 2 ** 20;

/** Shares of a tower's step that are not computing, 0 to 1. */
export interface TowerShares {
  name: string;
  exchange: number;
  wait: number;
}

export interface LiveState {
  /** Length of the run in steps; undefined while no `run_start` is known. */
  steps: number | undefined;
  step: number;
  epoch: number;
  top1: number;
  /** Losses of the last steps, or mean losses of the last lines of several steps, the newest last. */
  losses: readonly number[];
  /** The step of the first of them. */
  since: number;
  /** Over the last seconds, as the next two. */
  imagesPerSecond: number;
  /** Empty for a net on one device: it exchanges nothing. */
  towers: readonly TowerShares[];
  /** NaN until two steps are known. */
  leftMs: number;
  evaluation: EventOf<'eval'> | undefined;
}

interface Step {
  at: number;
  event: EventOf<'train_step'>;
}

/** Follows the events of a training, also from the middle of its log. The memory that it needs does not grow. */
export function followState() {
  let start: EventOf<'run_start'> | undefined;
  let evaluation: EventOf<'eval'> | undefined;
  const kept: Step[] = [];

  return {
    /** @param at when the event was written, ms since 1970. */
    see(event: LogEvent, at: number): void {
      if (event.event === 'run_start') {
        start = event;
        kept.length = 0; // the steps of an earlier process, before a resume
      } else if (event.event === 'servers_back') kept.length = 0;
      else if (event.event === 'eval') evaluation = event;
      if (event.event !== 'train_step') return;
      kept.push({ at, event });
      if (kept.length >= 2 * KEPT_STEPS) kept.splice(0, kept.length - KEPT_STEPS);
    },
    /** Undefined before the first step. */
    state(): LiveState | undefined {
      const steps = kept.slice(-KEPT_STEPS);
      const [first, last] = [steps[0], steps.at(-1)];
      if (!first || !last) return undefined;
      const recent = steps.slice(steps.findIndex(({ at }) => at >= last.at - RECENT_MS)).map(({ event }) => event);
      return {
        steps: start?.steps,
        step: last.event.step,
        epoch: last.event.epoch,
        top1: last.event.top1,
        losses: steps.map(({ event }) => event.loss),
        since: firstStepOf(first.event),
        imagesPerSecond: (1000 * sumOf(recent, ({ images }) => images)) / sumOf(recent, (event) => event.step_ms),
        towers: sharesOf(recent, start?.placement),
        leftMs: timeLeft(first, last, start?.steps),
        evaluation,
      };
    },
  };
}

/** From the time between the steps, so that evaluations and checkpoints count too. */
function timeLeft(first: Step, last: Step, steps = Number.NaN): number {
  const done = last.event.step - first.event.step;
  return done > 0 ? ((last.at - first.at) / done) * (steps - last.event.step) : Number.NaN;
}

function sharesOf(recent: readonly EventOf<'train_step'>[], placement: 'split' | 'single' = 'split'): TowerShares[] {
  const towers = recent.at(-1)!.towers.map(({ tower }) => tower);
  if (towers.length < 2) return [];
  return towers.map((tower) => {
    const own = recent.flatMap((event) => event.towers.filter((each) => each.tower === tower));
    const ms = sumOf(own, (each) => each.step_ms);
    return {
      name: towerTitle(tower, towers.length, placement),
      exchange: sumOf(own, (each) => each.exchange_ms) / ms,
      wait: sumOf(own, (each) => each.wait_ms) / ms,
    };
  });
}
