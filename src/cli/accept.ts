/** `accept`: checks a machine with two devices before it trains, on the screen and in a file to send. */
import { writeFileSync } from 'node:fs';
import { devicesOf, serversIn, timestamp } from '../config/config.js';
import { splitCard } from '../config/devices.js';
import { signalExitCode } from '../end-signals.js';
import { ConfigError, truncate } from '../errors.js';
import { nonFiniteAsStrings } from '../log.js';
import { duration } from '../numbers.js';
import { jsonText } from '../printable.js';
import { makeFolderOf } from '../safe-write.js';
import type { AcceptReport, Row } from '../train/accept/report.js';
import { explained } from './explain.js';
import { oneLine } from './format.js';
import type { Input, Services } from './services.js';
import { announce, breakSilence } from './silence.js';
import { stopOnSignal } from './stop.js';

interface AcceptOptions {
  quick?: boolean;
  /** The report's file. */
  out?: string;
}

/** The length of the longest name of a check. */
const NAME_WIDTH = 37;
const STATUS_WIDTH = 'skipped'.length;

/**
 * Runs the checks, prints a row for each, and updates the file after each.
 * @returns 0 if all passed or were skipped with a reason, 1 if one failed, 128 and a signal's number after a signal.
 * @throws ConfigError unless there are two devices; SplitError if the file cannot be written.
 */
export async function run(
  { layers, options: { quick = false, out } }: Input<AcceptOptions>,
  services: Services,
): Promise<number> {
  const names = devicesOf(layers);
  if (names.length !== 0 && names.length !== 2) {
    throw new ConfigError(
      `Cannot accept the device${names.length === 1 ? '' : 's'} ${truncate(names.join(','))}: expected two, one for each tower; choose them with --devices`,
    );
  }
  splitCard(names); // half a card is a usage error, not a failed check
  const file = out ?? `accept-${timestamp(services.now())}.json`;
  const { stdout } = services;
  const { busy, end } = breakSilence((text) => announce(services, text));
  write(file, { checks: [] }); // fails now rather than in ten minutes
  const stop = stopOnSignal(() => stdout.print('stopping; a second Ctrl-C or signal ends the process at once'));
  try {
    const { accept } = await services.loadAccept();
    stdout.print(`${'check'.padEnd(NAME_WIDTH)}  ${'result'.padEnd(STATUS_WIDTH)}  seconds  figure`);
    const report = await accept(
      { devices: names, ...serversIn(layers), quick },
      {
        signal: stop.signal,
        now: services.now,
        busy,
        report: (soFar, row) => {
          end();
          write(file, soFar);
          stdout.print(...rowLines(row));
        },
      },
    );
    write(file, report);
    stdout.print(lastLine(report, file));
    if (report.status === 'stopped') return signalExitCode(stop.signal.reason);
    return report.status === 'passed' ? 0 : 1;
  } finally {
    end();
    stop.dispose();
  }
}

/** A row, and the reason below it. */
function rowLines({ check, status, seconds, figure, why }: Row): string[] {
  const verdict = (status === 'failed' ? 'FAILED' : status).padEnd(STATUS_WIDTH);
  const head = `${check.padEnd(NAME_WIDTH)}  ${verdict}  ${seconds.toFixed(1).padStart(7)}`;
  const below = figure !== '' && why !== undefined ? [`  ${oneLine(why)}`] : [];
  return [`${head}  ${oneLine(figure || (why ?? ''))}`.trimEnd(), ...below];
}

function lastLine({ status, checks, seconds }: AcceptReport, file: string): string {
  const count = (wanted: Row['status']) => checks.filter((each) => each.status === wanted).length;
  const counts = `${count('passed')} passed, ${count('failed')} failed, ${count('skipped')} skipped`;
  const verdict = { passed: 'passed', failed: 'FAILED', stopped: 'stopped' }[status];
  return `${verdict}: ${counts}, ${duration(1000 * seconds)}; report in ${file}`;
}

function write(file: string, report: object): void {
  const text = `${jsonText(nonFiniteAsStrings(report), 1)}\n`;
  explained(`write ${file}`, 'choose another file with --out', () => {
    makeFolderOf(file);
    writeFileSync(file, text);
  });
}
