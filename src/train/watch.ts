/** Watches a run's events, and warns: what the rules of `warnings.ts` need to remember between them. */
import type { RunState } from '../checkpoint/contents.js';
import type { Config } from '../config/config.js';
import type { EventOf, LogEvent, Report } from '../log.js';
import { lowerRate } from './advice.js';
import {
  aboutLayers,
  BEGUN,
  chanceLoss,
  lossAtChance,
  risenLoss,
  SHORT_WINDOW,
  testAtChance,
  type Warning,
  WINDOW,
} from './warnings.js';

type Losses = NonNullable<RunState['losses']>;

/** Of a run that goes on: what there was before this process. */
export type Earlier = Pick<RunState, 'losses' | 'learningRate'>;

/** What a lower rate helps against, once there was a step. */
const WITH_ADVICE = ['collapse', 'rising-loss', 'dead-units', 'no-signal', 'large-activations'];

export interface Watch {
  /** To be told every event. */
  report: Report;
  /** What a process that goes on with the run has to know; undefined before the first step. */
  losses(): Losses | undefined;
}

/**
 * Opens a watch, from which `report` hears every event, and a warning after the event that gave cause for it: each kind
 * once in a process, of each layer once. What it costs is a few additions a step. Where a lower rate is advised, what to type
 * for it is added.
 */
export function openWatch(
  config: Config,
  report: Report,
  { losses: earlier, learningRate }: Partial<Earlier> = {},
): Watch {
  const { classes } = config.net;
  const recent: EventOf<'train_step'>[] = [];
  const said = new Set<string>();
  let steps = Number.POSITIVE_INFINITY;
  let first = earlier?.first;
  let best = earlier?.best ?? Number.POSITIVE_INFINITY;
  let rate = learningRate ?? config.optimizer.learningRate;
  /** The last step at which the loss, or the layers, were as they should be; not known of what was before this process. */
  const healthy: Record<'loss' | 'layers', number | undefined> = { loss: undefined, layers: undefined };

  function warn(warning: Warning | undefined): void {
    if (!warning) return;
    const { kind, layers = [{ layer: '', tower: 0 }] } = warning;
    const keys = layers.map(({ layer, tower }) => `${kind} ${layer} ${tower}`);
    if (keys.every((key) => said.has(key))) return;
    for (const key of keys) said.add(key);
    report({ ...warning, message: `${warning.message}${adviceOn(warning)}` });
  }

  function adviceOn({ kind, step = 0 }: Warning): string {
    if (!WITH_ADVICE.includes(kind) || step === 0) return '';
    const since = kind === 'rising-loss' ? step - SHORT_WINDOW : healthy[kind === 'collapse' ? 'loss' : 'layers'];
    return `; ${lowerRate(config, rate, since)}`;
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
    warn(risenLoss(losses.slice(-SHORT_WINDOW), first, { step, classes, learningRate }));
    if (mean !== undefined) best = Math.min(best, mean);
    if (mean !== undefined && mean < BEGUN * chanceLoss(classes)) healthy.loss = step;
  }

  function afterMeasurement(event: EventOf<'activations'>): void {
    const found = aboutLayers(event);
    for (const each of found) warn(each);
    if (!found.some(({ kind }) => WITH_ADVICE.includes(kind))) healthy.layers = event.step;
  }

  function recentTop1(): number {
    return meanOf(recent.map(({ top1 }) => top1));
  }

  function hear(event: LogEvent): void {
    report(event);
    switch (event.event) {
      case 'run_start':
        steps = event.steps;
        break;
      case 'train_step':
        afterStep(event);
        break;
      case 'eval':
        warn(testAtChance({ ...event, classes, training: recentTop1(), steps: recent.length }));
        break;
      case 'activations':
        afterMeasurement(event);
        break;
    }
  }

  return {
    report: hear,
    losses: () => first && { first, ...(Number.isFinite(best) && { best }) },
  };
}

function meanOf(values: readonly number[]): number {
  return values.reduce((sum, each) => sum + each, 0) / values.length;
}
