/** Says in one sentence what limits a step. docs/reports.md states the rules. */
import type { StepTime, TowerTime } from './model.js';

/** From this share of the step on, what is not computing limits it. */
const LARGE_SHARE = 0.25;
/** From this share of the step on, the wait of a tower for the other one is worth a word. */
const UNBALANCED_SHARE = 0.1;

type Means = Pick<StepTime, 'mean' | 'parts' | 'towers'>;

/**
 * The largest of these limits the step, if it is a quarter of the step or more: waiting for data; the exchange, with the wait
 * that both towers have; the rest, between the threads. Otherwise computing does: of one tower, if the other one waits for it
 * a tenth of the step or more; else of both.
 * @param nameOf a tower's name.
 */
export function limitSentence(
  { mean, parts, towers }: Means,
  nameOf = (tower: number): string => `tower ${tower}`,
): string {
  const step = `a ${ms(mean)} step`;
  const [busiest, ...others] = [...towers].sort((a, b) => b.compute - a.compute) as [TowerTime?, ...TowerTime[]];
  const both = [...towers].sort((a, b) => a.exchange + a.wait - (b.exchange + b.wait))[0];
  const exchange = both && others.length > 0 ? both.exchange + both.wait : 0;
  const largest = Math.max(parts.data, exchange, parts.other);
  if (mean > 0 && largest / mean >= LARGE_SHARE) {
    if (largest === parts.data)
      return `The towers wait ${ms(parts.data)} of ${step} for data: loading the data limits the step.`;
    if (largest === exchange) {
      return `Each tower exchanges and waits for at least ${ms(exchange)} of ${step}: the exchange limits the step.`;
    }
    return `Commands and replies between the threads take ${ms(parts.other)} of ${step}: the steps are too short for them; a larger batch helps.`;
  }
  if (!busiest) return `Computing takes ${ms(parts.compute)} of ${step}: computing limits the step.`;
  const idlest = others.at(-1);
  if (!idlest) return `The tower computes ${ms(busiest.compute)} of ${step}: computing limits the step.`;
  if ((idlest.wait - busiest.wait) / mean >= UNBALANCED_SHARE) {
    const name = nameOf(busiest.tower);
    return `${capitalized(name)} computes ${ms(busiest.compute)} of ${step}; ${nameOf(idlest.tower)} waits ${ms(idlest.wait)} for it: the computing of ${name} limits the step.`;
  }
  const each = towers.map(({ tower, compute }) => `${ms(compute)} in ${nameOf(tower)}`).join(' and ');
  return `Computing takes ${each} of ${step}: it limits the step.`;
}

export function capitalized(text: string): string {
  return `${text.slice(0, 1).toUpperCase()}${text.slice(1)}`;
}

/** `36.0 ms`; three significant digits or more. */
export function ms(value: number): string {
  const digits = Math.abs(value) >= 100 ? 0 : Math.abs(value) >= 10 ? 1 : Math.abs(value) >= 1 ? 2 : 3;
  return `${value.toFixed(digits)} ms`;
}
