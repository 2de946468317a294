/**
 * Steps that count, in a log with resumes. A run that resumes after step 40 repeats what an earlier process did after that
 * step. The later lines count, so an event of a later step in an earlier line does not.
 */
import type { LogEvent } from '../log.js';
import { firstStepOf } from '../step-lines.js';

/** More resumes than a log has. If there are more, the oldest ones are forgotten. */
const MAX_REWINDS = 10_000;

/** They say what happened, whatever was done again after that. */
const KEPT: readonly string[] = ['resume', 'server_lost', 'servers_back'];

/** Sees the events of a log in their order; then tells which ones count. */
export class Rewinds {
  /** Increasing lines and increasing steps: an event before `line` does not count if its step is `step` or later. */
  #rewinds: { line: number; step: number }[] = [];
  #last = 0;
  #forgotten = 0;

  /** The first line at which every rewind is known. */
  get forgottenUntil(): number {
    return this.#forgotten;
  }

  /** @returns whether earlier events no longer count. */
  see(event: LogEvent, line: number): boolean {
    if (event.event === 'resume' || event.event === 'servers_back') return this.#rewind(event.step + 1, line);
    if (event.event !== 'train_step') return false;
    // Also where no `resume` says so, as in a run that began again in the same folder.
    const first = firstStepOf(event);
    const isRepeated = first <= this.#last && this.#rewind(first, line);
    this.#last = event.step;
    return isRepeated;
  }

  #rewind(step: number, line: number): boolean {
    if (step > this.#last) return false;
    this.#last = step - 1;
    // For the lines before an earlier rewind to a later step, this one says more.
    while (this.#rewinds.length > 0 && this.#rewinds.at(-1)!.step >= step) this.#rewinds.pop();
    this.#rewinds.push({ line, step });
    if (this.#rewinds.length > MAX_REWINDS) this.#forgotten = this.#rewinds.shift()!.line;
    return true;
  }

  /** Returns a function that tells which events count. Call it with increasing lines. */
  filter(): (event: LogEvent, line: number) => boolean {
    let next = 0;
    return (event, line) => {
      while (next < this.#rewinds.length && this.#rewinds[next]!.line <= line) next++;
      const rewind = this.#rewinds[next];
      if (rewind === undefined) return true;
      const { step } = event as { step?: number };
      return KEPT.includes(event.event) || step === undefined || step < rewind.step;
    };
  }
}
