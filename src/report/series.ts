/** Series of any length in bounded memory: curves of at most 1,000 points, and lists that keep evenly spaced entries. */
import type { Curve, Finite } from './model.js';

/** Even, because points are merged in pairs. */
export const MAX_POINTS = 1000;

interface Bucket {
  /** The last one. */
  step: number;
  count: number;
  sum: number;
  low: number;
  high: number;
}

/** Collects a curve. Each point covers about as many steps as the others, except the last one. */
export class CurveBuilder {
  #buckets: Bucket[] = [];
  /** Steps of a full bucket. */
  #width = 1;

  /**
   * Adds the value of a step, or the mean of several ones.
   * @param step the last one. @param steps how many. @param high the largest value among them.
   */
  add(step: number, value: number, steps = 1, high = value): void {
    let last = this.#buckets.at(-1);
    if (!last || last.count >= this.#width) {
      if (this.#buckets.length === MAX_POINTS) this.#mergePairs();
      last = { step, count: 0, sum: 0, low: Number.POSITIVE_INFINITY, high: Number.NEGATIVE_INFINITY };
      this.#buckets.push(last);
    }
    last.step = step;
    last.count += steps;
    last.sum += value * steps;
    if (value < last.low && value !== Number.NEGATIVE_INFINITY) last.low = value;
    if (high > last.high && high !== Number.POSITIVE_INFINITY) last.high = high;
  }

  #mergePairs(): void {
    this.#width *= 2;
    this.#buckets = this.#buckets.flatMap((first, i) => {
      if (i % 2 === 1) return [];
      const second = this.#buckets[i + 1]!;
      return [
        {
          step: second.step,
          count: first.count + second.count,
          sum: first.sum + second.sum,
          low: Math.min(first.low, second.low),
          high: Math.max(first.high, second.high),
        },
      ];
    });
  }

  /** The mean of a point is null if one of its values is not finite. */
  curve(): Curve {
    return {
      step: this.#buckets.map(({ step }) => step),
      mean: this.#buckets.map(({ sum, count }) => finite(sum / count)),
      low: this.#buckets.map(({ low }) => finite(low)),
      high: this.#buckets.map(({ high }) => finite(high)),
    };
  }
}

/** The value, or null if there is none that is finite. */
export function finite(value: number | null | undefined): Finite {
  return typeof value === 'number' && Number.isFinite(value) ? value : null;
}

/** Keeps at most {@link MAX_POINTS} entries, evenly spaced, and always the newest. */
export class EvenList<T> {
  #kept: T[] = [];
  #newest: T | undefined;
  #every = 1;
  #count = 0;

  add(entry: T): void {
    this.#newest = entry;
    if (this.#count++ % this.#every !== 0) return;
    this.#kept.push(entry);
    if (this.#kept.length < MAX_POINTS) return;
    this.#kept = this.#kept.filter((_, i) => i % 2 === 0);
    this.#every *= 2;
  }

  list(): readonly T[] {
    const isKept = this.#newest === undefined || this.#kept.at(-1) === this.#newest;
    return isKept ? [...this.#kept] : [...this.#kept, this.#newest!];
  }
}

/** Keeps the newest entries. */
export class NewestList<T> {
  #kept: T[] = [];
  constructor(readonly most: number) {}

  add(entry: T): void {
    this.#kept.push(entry);
    if (this.#kept.length > this.most) this.#kept.shift();
  }

  list(): readonly T[] {
    return [...this.#kept];
  }
}
