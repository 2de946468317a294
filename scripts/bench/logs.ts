/** Reports of long logs: seconds, lines per second, and the peak of memory, which must not grow with the log. */
import { execFileSync } from 'node:child_process';
import { closeSync, mkdtempSync, openSync, rmSync, statSync, writeSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { table } from '../../src/cli/format.js';
import type { EventOf, LogEvent } from '../../src/log.js';
import { eventWriter } from '../../src/log-writer.js';
import { median } from '../../src/numbers.js';
import { eventsIn } from '../../src/report/read-log.js';
import { save as saveResult } from './report.js';

const CLI = new URL('../../src/cli.js', import.meta.url).href;
const RECORDED = fileURLToPath(new URL('../../../test/fixtures/report/split.ndjson', import.meta.url));
const SIZES = [10_000, 1_000_000];
const FORMATS = { page: [], json: ['--json'], csv: ['--csv'], check: ['--check'] };

/** Measures each format on a short and on a long log, in turn. */
export async function benchLogs(rounds: number, save: string | undefined): Promise<void> {
  const folder = mkdtempSync(join(tmpdir(), 'alexnet-split-logs-'));
  try {
    const logs = SIZES.map((lines) => ({ lines, file: join(folder, `${lines}.ndjson`) }));
    for (const { file, lines } of logs) await writeLog(file, lines);
    const cases = Object.entries(FORMATS).flatMap(([format, flags]) => logs.map((log) => ({ format, flags, ...log })));
    const measured = cases.map(() => ({ seconds: [] as number[], mebibytes: [] as number[] }));
    for (let round = 0; round < rounds; round++) {
      for (const [i, { flags, file }] of cases.entries()) {
        const { seconds, mebibytes } = runReport([
          file,
          ...flags,
          ...(flags[0] === '--check' ? [] : ['--out', join(folder, 'out')]),
        ]);
        measured[i]!.seconds.push(seconds);
        measured[i]!.mebibytes.push(mebibytes);
      }
    }
    const results = cases.map(({ format, lines, file }, i) => ({
      ...{ format, lines, megabytes: Math.round(statSync(file).size / 1e6) },
      seconds: median(measured[i]!.seconds),
      peakMiB: median(measured[i]!.mebibytes),
    }));
    const rows = results.map(({ format, lines, megabytes, seconds, peakMiB }) => {
      const short = results.find((each) => each.format === format)!;
      const perSecond = Math.round(lines / seconds);
      return [
        format,
        lines,
        megabytes,
        seconds.toFixed(2),
        perSecond,
        Math.round(peakMiB),
        (peakMiB / short.peakMiB).toFixed(2),
      ];
    });
    const header = ['format', 'lines', 'MB', 'seconds', 'lines/s', 'peak MiB', 'peak against the short log'];
    for (const line of table(header, rows)) console.log(line);
    saveResult(save, { rounds, results });
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/** A process of its own, because the peak of memory is that of a process. */
function runReport(argv: readonly string[]): { seconds: number; mebibytes: number } {
  const code = `import { main } from ${JSON.stringify(CLI)};
    const exitCode = await main(${JSON.stringify(['report', ...argv])}, { stdout: { write() {} }, stderr: process.stderr });
    if (exitCode !== 0) throw new Error('exit code ' + exitCode);
    process.stdout.write(String(process.resourceUsage().maxRSS / 1024));`;
  const started = performance.now();
  const output = execFileSync(process.execPath, ['--input-type=module', '-e', code], { encoding: 'utf8' });
  return { seconds: (performance.now() - started) / 1000, mebibytes: Number(output) };
}

/**
 * Writes a log of that many lines with the events of a recorded one: an evaluation and a checkpoint each 1,000 steps, and in
 * the middle a resume that repeats 500 steps.
 */
async function writeLog(file: string, lines: number): Promise<void> {
  const recorded: LogEvent[] = [];
  for await (const event of eventsIn(RECORDED)) recorded.push(event);
  const one = <Name extends LogEvent['event']>(name: Name) =>
    recorded.findLast((each): each is EventOf<Name> => each.event === name)!;
  const [start, steps] = [one('run_start'), recorded.filter((each) => each.event === 'train_step').slice(1)];
  const checkpoint = one('checkpoint');
  let text = '';
  let written = 0;
  const descriptor = openSync(file, 'w');
  const write = eventWriter({
    write(line) {
      text += line;
    },
  });
  const put = (event: LogEvent) => {
    write(event);
    if (++written % 1000 !== 0) return;
    writeSync(descriptor, text);
    text = '';
  };
  put({ ...start, steps: lines });
  let isResumed = false;
  let last = 0;
  for (let step = 1; written < lines - 1; step++) {
    if (!isResumed && written > lines / 2) {
      isResumed = true;
      step = Math.max(1, step - 500);
      put({ ...start, steps: lines });
      put({ event: 'resume', step: step - 1, checkpoint: checkpoint.folder, skipped: [] });
    }
    put({ ...steps[step % steps.length]!, step, loss: 2.3 / Math.sqrt(step) + 0.1 * Math.sin(step) ** 2 });
    last = step;
    if (step % 1000 !== 0) continue;
    put({ ...one('eval'), step });
    put({ ...one('activations'), step });
    put({ ...checkpoint, step, folder: `${checkpoint.folder}${step}` });
  }
  put({ ...one('run_end'), steps: last });
  writeSync(descriptor, text);
  closeSync(descriptor);
}
