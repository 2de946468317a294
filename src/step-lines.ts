/**
 * Steps as lines of the log. With `logSteps` above 1, successive steps become one `train_step`, so that the log of a run of a
 * million steps can be read. What can be added up is the sum over the steps, so whoever adds up lines is right for both
 * kinds. docs/log-events.md says what each field of such a line is.
 */
import type { EventOf, LogEvent, Report } from './log.js';
import { sumOf } from './numbers.js';

type Step = EventOf<'train_step'>;
type Tower = Step['towers'][number];

/** No line waits longer than this for further steps, ms of the steps: who watches a slow run sees that it goes on. */
export const MOST_MS = 10_000;

const SUMS = [
  ...(['images', 'step_ms', 'data_ms', 'compute_ms', 'exchange_ms', 'wait_ms', 'other_ms'] as const),
  ...(['exchange_bytes', 'average_bytes', 'decode_ms', 'read_bytes', 'device_bytes'] as const),
];
const MEANS = ['gradient_norm', 'ready_images'] as const;
const TOWER_SUMS = ['step_ms', 'compute_ms', 'exchange_ms', 'wait_ms', 'exchange_bytes'] as const;
/** Of which a line has the largest value too. */
const WORST = [
  ...(['loss', 'gradient_norm', 'step_ms', 'data_ms', 'decode_ms', 'compute_ms', 'exchange_ms', 'wait_ms'] as const),
];

/** How many steps a line is about. A log from elsewhere may have anything there. */
export function stepsIn({ steps = 1 }: Pick<Step, 'steps'>): number {
  return Number.isSafeInteger(steps) && steps > 1 ? steps : 1;
}

/** The first step that a line is about. */
export function firstStepOf(event: Pick<Step, 'step' | 'steps'>): number {
  return event.step - stepsIn(event) + 1;
}

/** The mean step of a line: sums are divided by the number of steps. A line of one step stays as it is. */
export function meanStep(event: Step): Step {
  const steps = stepsIn(event);
  if (steps === 1) return event;
  const divide = (values: readonly number[]) => values[0]! / steps;
  return {
    ...event,
    ...joined([event], SUMS, divide),
    towers: event.towers.map((tower) => ({ ...tower, ...joined([tower], TOWER_SUMS, divide) })),
  };
}

/** The largest value among the steps of a line. */
export function worstOf(event: Step, name: 'loss' | 'step_ms'): number {
  return event.worst?.[name] ?? event[name];
}

/**
 * One event of successive steps of a process. A single step stays as it is.
 * @param steps at least one, in their order, with the same fields.
 */
export function joinSteps(steps: readonly Step[]): Step {
  const last = steps.at(-1)!;
  if (steps.length === 1) return last;
  const [images, ms] = [sumOf(steps, (each) => each.images), sumOf(steps, (each) => each.step_ms)];
  const perImage = (name: 'loss' | 'top1') => sumOf(steps, (each) => each[name] * each.images) / images;
  const largest = (values: readonly number[]) => Math.max(...values);
  return {
    ...last,
    ...{ steps: steps.length, loss: perImage('loss'), last_loss: last.loss, top1: perImage('top1') },
    images_per_s: (images / ms) * 1000,
    ...joined(steps, SUMS, total),
    ...joined(steps, MEANS, (values) => total(values) / steps.length),
    ...joined(steps, ['resident_bytes'], largest),
    worst: {
      ...(joined(steps, WORST, largest) as NonNullable<Step['worst']>),
      ...joined(steps, ['ready_images'], (values) => Math.min(...values)),
    },
    towers: last.towers.map((tower, i) => {
      const own = steps.map(({ towers }): Tower => towers[i]!);
      return { ...tower, ...joined(own, TOWER_SUMS, total) };
    }),
  };
}

/** Joins each field that all entries have. */
function joined<Name extends string>(
  entries: readonly Partial<Record<Name, number | undefined>>[],
  names: readonly Name[],
  join: (values: readonly number[]) => number,
): Partial<Record<Name, number>> {
  const fields = names.flatMap((name) => {
    const values = entries.map((each) => each[name]);
    return values.every((value) => value !== undefined) ? [[name, join(values)]] : [];
  });
  return Object.fromEntries(fields);
}

/** Measured bytes of lines: of one step, of several, for each tower in it, and of an evaluation with what follows it. */
const LINE = { step: 560, steps: 890, tower: 170, evaluation: 4700 };

/** About how many bytes the log of a run has. @param evaluations how many there are. @param towers of all replicas. */
export function logBytes(run: { steps: number; evaluations: number; logSteps: number; towers: number }): number {
  const { steps, evaluations, logSteps, towers } = run;
  const line = (logSteps > 1 ? LINE.steps : LINE.step) + LINE.tower * towers;
  // An evaluation ends a line early.
  return (steps / logSteps + (logSteps > 1 ? evaluations : 0)) * line + evaluations * LINE.evaluation;
}

function total(values: readonly number[]): number {
  return sumOf(values, (value) => value);
}

/**
 * Gathers the events of a run into lines. A line ends after `most` steps, at the end of an epoch and of the run, after
 * {@link MOST_MS}, and before any other event. Steps that are told from others have their own line: the first one of a
 * process, which compiles, a traced one, and one with a loss or a gradient that is not finite.
 * @param write receives the lines, in the order of the events.
 */
export function gatherSteps(most: number, write: Report) {
  let gathered: Step[] = [];
  let gatheredMs = 0;
  let perEpoch = Number.POSITIVE_INFINITY;
  let end = Number.POSITIVE_INFINITY;
  let isFirst = true;

  function flush(): void {
    const steps = gathered;
    [gathered, gatheredMs] = [[], 0]; // also if writing fails
    if (steps.length > 0) write(joinSteps(steps));
  }

  /** Ends the line before its last step. */
  function separateLast(): void {
    const last = gathered.pop();
    flush();
    if (last) [gathered, gatheredMs] = [[last], last.step_ms];
  }

  function addStep(event: Step): void {
    gathered.push(event);
    gatheredMs += event.step_ms;
    const { step, loss, gradient_norm: norm = 0 } = event;
    const isUsual = Number.isFinite(loss) && Number.isFinite(norm);
    if (!isUsual) separateLast();
    const isFull = gathered.length >= most || gatheredMs >= MOST_MS;
    if (isFirst || !isUsual || isFull || step % perEpoch === 0 || step === end) flush();
    isFirst = false;
  }

  return {
    /** Takes the next event. */
    see(event: LogEvent): void {
      if (event.event === 'train_step') {
        addStep(event);
        return;
      }
      if ((event.event === 'trace' || event.event === 'exchange') && event.step === gathered.at(-1)?.step)
        separateLast();
      flush();
      if (event.event === 'run_start') [perEpoch, end] = [event.steps_per_epoch, event.steps];
      if (event.event === 'run_start' || event.event === 'servers_back') isFirst = true;
      write(event);
    },
    /** Ends the present line: what comes later may be done again without it. */
    flush,
  };
}
