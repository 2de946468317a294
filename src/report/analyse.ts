/** From a log to what a report says of the run; also while the run writes it. */
import { statSync } from 'node:fs';
import { dirname } from 'node:path';
import { RunCollector } from './collect.js';
import type { RunReport } from './model.js';
import { LOG_START, linesOf, parsedLines, parseLine } from './read-log.js';
import { Rewinds } from './rewinds.js';

/** The analysis of a log that may still grow. The memory that it takes does not grow with the log. */
export class LogAnalysis {
  #rewinds = new Rewinds();
  #collector: RunCollector;
  #position = { ...LOG_START };

  /** Reads nothing yet. @param folder of the run. */
  constructor(
    readonly file: string,
    readonly folder = dirname(file),
  ) {
    this.#collector = new RunCollector(folder);
  }

  /**
   * Reads what was appended since the last call. A log without resumes is read once. After a resume, which replaces steps,
   * it is read again from the start.
   * @param isEnded whether to take a last line without a newline too. Nothing can be read after that.
   * @throws SplitError if the log cannot be read.
   */
  async update({ isEnded = false } = {}): Promise<void> {
    if (this.#position.bytes > (statSync(this.file, { throwIfNoEntry: false })?.size ?? 0)) {
      this.#rewinds = new Rewinds(); // another file has its name now
      this.#collector = new RunCollector(this.folder);
      this.#position = { ...LOG_START };
    }
    let isStale = false;
    for await (const lines of linesOf(this.file, this.#position)) {
      for (const line of lines) {
        if (!line.isWhole) {
          if (!isEnded) break;
          this.#position = { bytes: line.end, lines: line.number };
        }
        const parsed = parseLine(line);
        if (parsed.kind === 'event' && this.#rewinds.see(parsed.event, line.number)) isStale = true;
        if (!isStale) this.#collector.add(parsed, line.number);
      }
    }
    if (isStale) await this.#collectAgain();
    if (isEnded) this.#collector.end();
  }

  /** Collects from the start what counts, now that all resumes are known. */
  async #collectAgain(): Promise<void> {
    const collector = new RunCollector(this.folder);
    const counts = this.#rewinds.filter();
    for await (const { parsed, line } of parsedLines(this.file, this.#position.bytes)) {
      if (parsed.kind !== 'event' || counts(parsed.event, line)) collector.add(parsed, line);
      else collector.skip(parsed.event);
    }
    const { forgottenUntil } = this.#rewinds;
    if (forgottenUntil > 0) collector.problem(forgottenUntil, 'too many resumes: steps before it may count twice');
    this.#collector = collector;
  }

  /** What the log says so far. */
  report(): RunReport {
    return this.#collector.report(this.#position);
  }
}

/** Analyses a log. @throws SplitError if it cannot be read. */
export async function analyseLog(file: string, folder?: string): Promise<RunReport> {
  const analysis = new LogAnalysis(file, folder);
  await analysis.update({ isEnded: true });
  return analysis.report();
}
