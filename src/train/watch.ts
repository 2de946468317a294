/** Watches a run's events, and warns: what the rules of `warnings.ts` need to remember between them. */
import type { Config } from '../config/config.js';
import type { EventOf, Report } from '../log.js';
import { knownRate } from './rates.js';
import {
  deadUnits,
  largeActivations,
  lossAtChance,
  noSignal,
  risenLoss,
  SHORT_WINDOW,
  testAtChance,
  type Warning,
  WINDOW,
  weakSignal,
} from './warnings.js';

/**
 * `report`, which hears a warning after the event that gave cause for it: each kind once in a process, of each layer once.
 * What it costs is a few additions a step.
 */
export function withWarnings(config: Config, report: Report): Report {
  const { classes } = config.net;
  const recent: EventOf<'train_step'>[] = [];
  const said = new Set<string>();
  let steps = Number.POSITIVE_INFINITY;
  let start: number | undefined;
  let best = Number.POSITIVE_INFINITY;

  function warn(warning: Warning | undefined): void {
    if (!warning) return;
    const { kind, layers = [{ layer: '', tower: 0 }] } = warning;
    const keys = layers.map(({ layer, tower }) => `${kind} ${layer} ${tower}`);
    if (keys.every((key) => said.has(key))) return;
    for (const key of keys) said.add(key);
    report(warning);
  }

  function afterStep(event: EventOf<'train_step'>): void {
    recent.push(event);
    if (recent.length > WINDOW) recent.shift();
    const { step, learning_rate: learningRate } = event;
    const losses = recent.map(({ loss }) => loss);
    start ??= event.loss;
    const mean = recent.length === WINDOW ? meanOf(losses) : undefined;
    const images = recent.reduce((sum, each) => sum + each.images, 0);
    warn(lossAtChance({ step, steps, classes, mean, best, top1: recentTop1(), images, learningRate }));
    warn(risenLoss(losses.slice(-SHORT_WINDOW), start, { step, classes, learningRate }));
    if (mean !== undefined) best = Math.min(best, mean);
  }

  function recentTop1(): number {
    return meanOf(recent.map(({ top1 }) => top1));
  }

  return (event) => {
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
        warn(knownRate(config, event));
        // Where no signal is, it is weak too.
        for (const found of [noSignal(event) ?? weakSignal(event), deadUnits(event), largeActivations(event)])
          warn(found);
        break;
    }
  };
}

function meanOf(values: readonly number[]): number {
  return values.reduce((sum, each) => sum + each, 0) / values.length;
}
