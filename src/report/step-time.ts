/** Where the time of a step goes: means over any number of steps, and quantiles, in bounded memory. */
import { LogCollapsingLowestDenseDDSketch } from '@datadog/sketches-js';
import type { EventOf } from '../log.js';
import { stepsIn, worstOf } from '../step-lines.js';
import { limitSentence } from './limit.js';
import type { StepTime } from './model.js';
import { towerNames } from './settings.js';

/** Relative error of the median and of the 95th percentile. */
const QUANTILE_ERROR = 0.005;

/** More than a run has. */
export const MAX_TOWERS = 128;

const PARTS = ['data', 'compute', 'exchange', 'wait', 'other'] as const;

type Step = EventOf<'train_step'>;
type Sums = { steps: number; step: number; compute: number; exchange: number; wait: number };

export class StepTimer {
  #steps = 0;
  #ms = 0;
  #images = 0;
  #parts = { data: 0, compute: 0, exchange: 0, wait: 0, other: 0 };
  #towers = new Map<number, Sums>();
  #sketch = new LogCollapsingLowestDenseDDSketch({ relativeAccuracy: QUANTILE_ERROR });

  /** Takes a line of one step or of several. Leaves out one whose times are not finite. */
  add(event: Step): void {
    if (![event.step_ms, event.images, ...PARTS.map((part) => event[`${part}_ms`])].every(Number.isFinite)) return;
    const steps = stepsIn(event);
    this.#steps += steps;
    this.#ms += event.step_ms;
    this.#images += event.images;
    for (const part of PARTS) this.#parts[part] += event[`${part}_ms`];
    for (const tower of event.towers) {
      let sums = this.#towers.get(tower.tower);
      if (!sums) {
        if (this.#towers.size === MAX_TOWERS) continue;
        sums = { steps: 0, step: 0, compute: 0, exchange: 0, wait: 0 };
        this.#towers.set(tower.tower, sums);
      }
      sums.steps += steps;
      sums.step += tower.step_ms;
      sums.compute += tower.compute_ms;
      sums.exchange += tower.exchange_ms;
      sums.wait += tower.wait_ms;
    }
    // Of several steps the slowest one is known, and the mean of the others.
    const worst = worstOf(event, 'step_ms');
    if (steps > 1 && worst >= event.step_ms / steps && worst <= event.step_ms) {
      this.#sketch.accept(worst);
      this.#sketch.accept((event.step_ms - worst) / (steps - 1), steps - 1);
    } else this.#sketch.accept(event.step_ms / steps, steps);
  }

  /** @param start names the towers and their devices. @returns undefined without steps. */
  time(start: EventOf<'run_start'> | undefined): StepTime | undefined {
    const steps = this.#steps;
    if (steps === 0) return undefined;
    const mean = this.#ms / steps;
    const { data, compute, exchange, wait, other } = this.#parts;
    const means = {
      mean,
      parts: {
        ...{ data: data / steps, compute: compute / steps, exchange: exchange / steps },
        ...{ wait: wait / steps, other: other / steps },
      },
      towers: [...this.#towers]
        .sort(([a], [b]) => a - b)
        .map(([tower, sums]) => ({
          tower,
          device: start?.towers[tower]?.device ?? '',
          step: sums.step / sums.steps,
          compute: sums.compute / sums.steps,
          exchange: sums.exchange / sums.steps,
          wait: sums.wait / sums.steps,
        })),
    };
    return {
      steps,
      ...means,
      median: this.#sketch.getValueAtQuantile(0.5),
      p95: this.#sketch.getValueAtQuantile(0.95),
      imagesPerSecond: (this.#images / this.#ms) * 1000,
      limit: limitSentence(means, towerNames(start)),
    };
  }
}
