/** Follows a run's events and adds warnings: the state that the rules in `warnings.ts` need between events. */
import type { RunState } from '../checkpoint/contents.js';
import type { Config } from '../config/config.js';
import { LEARNT_LOSS } from '../config/overfit.js';
import type { EventOf, LogEvent, Report } from '../log.js';
import { scalingOf } from '../optim/schedule.js';
import { lowerRate } from './branch.js';
import type { TrainUi } from './train-ui.js';
import {
  activationWarnings,
  belowMajority,
  chanceLoss,
  LEARNT,
  lossAtChance,
  risingLoss,
  SHORT_WINDOW,
  testAtChance,
  type Warning,
  WINDOW,
} from './warnings.js';

/** The kinds against which a lower learning rate helps, once there was a step. */
const LOWER_RATE_HELPS = ['collapse', 'rising-loss', 'dead-units', 'no-signal', 'large-activations'];

export type Monitor = ReturnType<typeof openMonitor>;

type Earlier = Partial<Pick<RunState, 'losses' | 'learningRate'>>;

/**
 * Opens a monitor that passes every event on to `report`, followed by the warnings it causes. Each kind is reported once in
 * a process, or once for each layer. Where a lower rate helps, the warning ends with the flags for it.
 * @param resumed the state of the checkpoint that the run is resumed from.
 * @param advice see `TrainUi.lowerRate`.
 */
export function openMonitor(
  config: Config,
  report: Report,
  { losses: earlier, learningRate: resumedRate }: Earlier = {},
  advice: TrainUi['lowerRate'] = (...found) => lowerRate(config, ...found),
) {
  const { classes } = config.net;
  const recent: EventOf<'train_step'>[] = [];
  const warned = new Set<string>();
  let steps = Number.POSITIVE_INFINITY;
  let start: EventOf<'run_start'> | undefined;
  let first = earlier?.first;
  let best = earlier?.best ?? Number.POSITIVE_INFINITY;
  const firstRate = config.optimizer.learningRate * scalingOf(config.optimizer);
  let rate = resumedRate ?? firstRate;
  /** The last step in this process at which the loss, or the layers, were as they should be. */
  const healthy: Record<'loss' | 'layers', number | undefined> = { loss: undefined, layers: undefined };
  const recentTop1 = () => meanOf(recent.map(({ top1 }) => top1));

  function warn(warning: Warning | undefined): void {
    if (!warning) return;
    const { kind, layers = [{ layer: '', tower: 0 }] } = warning;
    const keys = layers.map(({ layer, tower }) => `${kind} ${layer} ${tower}`);
    if (keys.every((key) => warned.has(key))) return;
    for (const key of keys) warned.add(key);
    report({ ...warning, message: `${warning.message}${adviceOn(warning)}` });
  }

  function adviceOn({ kind, step = 0 }: Warning): string {
    if (!LOWER_RATE_HELPS.includes(kind) || step === 0) return '';
    const since = kind === 'rising-loss' ? step - SHORT_WINDOW : healthy[kind === 'collapse' ? 'loss' : 'layers'];
    return `; ${advice(rate, since)}`;
  }

  function afterStep(event: EventOf<'train_step'>): void {
    recent.push(event);
    if (recent.length > WINDOW) recent.shift();
    const { step, learning_rate: learningRate } = event;
    rate = learningRate;
    const losses = recent.map(({ loss }) => loss);
    first ??= { step, loss: event.loss };
    const mean = recent.length === WINDOW ? meanOf(losses) : undefined;
    const images = recent.reduce((sum, each) => sum + each.images, 0);
    warn(lossAtChance({ step, steps, classes, mean, best, top1: recentTop1(), images, learningRate }));
    warn(risingLoss(losses.slice(-SHORT_WINDOW), first, { step, classes, learningRate }));
    if (mean !== undefined) best = Math.min(best, mean);
    if (mean !== undefined && mean < LEARNT * chanceLoss(classes)) healthy.loss = step;
  }

  function afterMeasurement(event: EventOf<'activations'>): void {
    const found = activationWarnings(event);
    for (const each of found) warn(each);
    if (!found.some(({ kind }) => LOWER_RATE_HELPS.includes(kind))) healthy.layers = event.step;
  }

  /** The end of a run that overfits, with its first and last loss. Before it, a warning if the batch was not learnt. */
  function withOverfit(event: EventOf<'run_end'>): EventOf<'run_end'> {
    const last = recent.at(-1);
    if (!config.overfit || !first || !last || event.status !== 'done') return event;
    const overfit = { first_loss: first.loss, last_loss: last.loss, learnt: last.loss < LEARNT_LOSS };
    const message = `the net has not learnt its one batch by heart: the loss is still ${last.loss.toPrecision(3)} after ${last.step} steps, expected less than ${LEARNT_LOSS}; try more --steps or another --lr, and if that does not help, look for a fault in the images, their labels or the net`;
    if (!overfit.learnt) report({ event: 'warning', message });
    return { ...event, overfit };
  }

  return {
    report(event: LogEvent) {
      report(event.event === 'run_end' ? withOverfit(event) : event);
      if (event.event === 'run_start') {
        steps = event.steps;
        start = event;
      }
      if (event.event === 'train_step') afterStep(event);
      if (event.event === 'eval') {
        const guessed = testAtChance({ ...event, classes, training: recentTop1(), steps: recent.length });
        warn(guessed);
        // One warning about the same accuracy is enough.
        if (start && event.step === steps && !guessed) {
          const { dataset, steps_per_epoch: perEpoch } = start;
          warn(belowMajority({ ...event, epochs: steps / perEpoch, majority: dataset.test_majority }));
        }
      }
      if (event.event === 'activations') afterMeasurement(event);
    },
    /** The run goes back to a checkpoint, or to its start. */
    rewind({ losses: earlier, learningRate = firstRate }: Earlier = {}) {
      recent.length = 0;
      first = earlier?.first;
      best = earlier?.best ?? Number.POSITIVE_INFINITY;
      rate = learningRate;
    },
    /** What a resumed run has to know about the losses; undefined before the first step. */
    losses: (): RunState['losses'] => first && { first, ...(Number.isFinite(best) && { best }) },
  };
}

function meanOf(values: readonly number[]): number {
  return values.reduce((sum, each) => sum + each, 0) / values.length;
}
