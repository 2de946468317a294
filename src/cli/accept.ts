/** `accept`: what a machine with two devices is to show before it trains, on the screen and in a file to send. */
import { writeFileSync } from 'node:fs';
import { timestamp } from '../config/config.js';
import { shortName, splitCard } from '../config/devices.js';
import { signalExitCode } from '../end-signals.js';
import { ConfigError, SplitError, truncate } from '../errors.js';
import { nonFiniteAsStrings } from '../log.js';
import { jsonText } from '../printable.js';
import type { AcceptReport, Row } from '../train/accept/report.js';
import { duration, oneLine } from './format.js';
import type { Services } from './services.js';
import { stopOnSignal } from './stop.js';

export interface AcceptOptions {
  devices?: readonly string[];
  quick?: boolean;
  /** The file. */
  out?: string;
}

/** As long as the longest name of a check. */
const NAME_WIDTH = 37;
const STATUS_WIDTH = 'skipped'.length;

/**
 * Runs the checks, prints a row for each, and keeps the file up to date.
 * @returns 0 when all passed or were left out with a reason, 1 when one failed, 128 and a signal's number when it came.
 * @throws ConfigError for devices that make no pair; SplitError for a file that cannot be written.
 */
export async function acceptCommand(
  { devices = [], quick = false, out }: AcceptOptions,
  services: Services,
): Promise<number> {
  const names = devices.map((name) => String(shortName(name)));
  if (names.length !== 0 && names.length !== 2) {
    throw new ConfigError(
      `Cannot accept the device${names.length === 1 ? '' : 's'} ${truncate(names.join(','))}: expected two, one for each tower; choose them with --devices`,
    );
  }
  splitCard(names); // a card's half alone is a wrong use, not a check that failed
  const now = services.now();
  const file = out ?? `accept-${timestamp(now)}.json`;
  const print = (line: string) => services.stdout.write(`${line}\n`);
  write(file, { checks: [] }); // better told now than in ten minutes
  const stop = stopOnSignal(() => print('stopping; once more stops at once'));
  try {
    const { accept } = await services.acceptRoom();
    print(`${'check'.padEnd(NAME_WIDTH)}  ${'result'.padEnd(STATUS_WIDTH)}  seconds  figure`);
    const report = await accept(
      { devices: names, quick },
      {
        signal: stop.signal,
        now: services.now,
        report: (so, row) => {
          write(file, so);
          for (const line of rowLines(row)) print(line);
        },
      },
    );
    write(file, report);
    print(lastLine(report, file));
    if (report.status !== 'stopped') return report.status === 'passed' ? 0 : 1;
    return signalExitCode(stop.signal.reason);
  } finally {
    stop.forget();
  }
}

/** A row, and the reason under it. */
function rowLines({ check, status, seconds, figure, why }: Row): string[] {
  const head = `${check.padEnd(NAME_WIDTH)}  ${(status === 'failed' ? 'FAILED' : status).padEnd(STATUS_WIDTH)}  ${seconds.toFixed(1).padStart(7)}`;
  const told = figure === '' ? why : figure;
  const below = figure !== '' && why !== undefined ? [`  ${oneLine(why)}`] : [];
  return [`${head}  ${oneLine(told ?? '')}`.trimEnd(), ...below];
}

function lastLine({ status, checks, seconds }: AcceptReport, file: string): string {
  const count = (wanted: Row['status']) => checks.filter((each) => each.status === wanted).length;
  const counts = `${count('passed')} passed, ${count('failed')} failed, ${count('skipped')} skipped`;
  const verdict = { passed: 'passed', failed: 'FAILED', stopped: 'stopped' }[status];
  return `${verdict}: ${counts}, ${duration(1000 * seconds)}; the file to send is ${file}`;
}

function write(file: string, report: object): void {
  try {
    writeFileSync(file, `${jsonText(nonFiniteAsStrings(report), 1)}\n`);
  } catch (error) {
    throw new SplitError(`Cannot write ${file}: ${(error as Error).message}; choose another file with --out`, {
      cause: error,
    });
  }
}
