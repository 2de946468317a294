/** `report`: shows what happened in runs, from their logs. Loads no TensorFlow. */
import { statSync } from 'node:fs';
import { basename, dirname, join, resolve } from 'node:path';
import { packageVersion } from '../config/version.js';
import { ConfigError } from '../errors.js';
import { mebibytes, plural } from '../numbers.js';
import { jsonText, printableLines } from '../printable.js';
import { analyseLog } from '../report/analyse.js';
import { checkLog, type LogCheck } from '../report/check.js';
import { csvOf, type NamedLog } from '../report/csv.js';
import type { Variant } from '../report/groups.js';
import { reportPage } from '../report/html.js';
import { markdownLines } from '../report/markdown.js';
import type { Report, RunReport } from '../report/model.js';
import { makeReport } from '../report/report.js';
import { withKernels } from '../report/run-kernels.js';
import { assertFileWritable, makeFolderOf, writeNoFollow } from '../safe-write.js';
import { explained } from './explain.js';
import { type FoundLog, findLogs } from './find-log.js';
import { follow } from './follow.js';
import { writeTensorboard } from './report-tensorboard.js';
import type { Input, Services } from './services.js';
import { streamToFile } from './stream-file.js';

export interface ReportOptions {
  out?: string;
  markdown?: boolean;
  json?: boolean;
  csv?: boolean;
  check?: boolean;
  /** A folder for event files. */
  tensorboard?: string;
  follow?: boolean;
  port?: number;
  wait?: boolean;
}

const ADVICE = 'choose another file with --out';

/** A log of this size takes longer to read than people wait without a word. */
const LARGE_BYTES = 100 * 2 ** 20;

/** Problems that are printed of a log. */
const MOST_PROBLEMS = 10;

/**
 * Writes a page, or CSV, to `out` or into the run's folder; prints Markdown or JSON, or writes them to `out`.
 * @returns 1 if `check` finds a bad line, else 0.
 * @throws ConfigError if there is no such run, or `out` is its log; SplitError if a log cannot be read, or the file cannot be written.
 */
export async function run(
  { argument: names = [], options }: Input<ReportOptions, readonly string[] | undefined>,
  services: Services,
): Promise<number> {
  if (options.follow) return follow(names, options, services);
  if (options.port !== undefined) throw new ConfigError('Cannot use --port without --follow; add --follow');
  if (options.wait) throw new ConfigError('Cannot use --wait without --follow; add --follow');
  const warn = (sentence: string) => services.stderr.print(`warning: ${sentence}`);
  const logs = findLogs(names, options.check ? 'check' : 'report on', warn);
  if (names.length === 0) services.stderr.print(`the newest run: ${logs[0]!.folder}`);
  for (const { file } of logs) {
    const { size } = statSync(file);
    if (size >= LARGE_BYTES) services.stderr.print(`reading ${file}: ${mebibytes(size)}`);
  }
  if (options.check) return check(logs, options, services);
  if (options.tensorboard !== undefined) return writeTensorboard(logs, options.tensorboard, services);
  const text = textOf(options);
  // Before the logs are read, which may take a while.
  const file = text
    ? options.out
    : (options.out ?? join(sharedFolder(logs), options.csv ? 'steps.csv' : 'report.html'));
  if (file !== undefined) {
    refuseLog(file, logs);
    writing(file, () => assertFileWritable(file));
  }
  if (options.csv) return writeCsv(logs, file!, services);
  const report = await reportOn(logs);
  if (file === undefined) {
    services.stdout.print(...text!(report));
    return 0;
  }
  const content = text ? printableLines(`${text(report).join('\n')}\n`) : reportPage(report, { folder: dirname(file) });
  writing(file, () => {
    makeFolderOf(file);
    writeNoFollow(file, content);
  });
  services.stdout.print(file);
  return 0;
}

/** The function that makes the lines to print; undefined for the formats that are files. */
function textOf({ markdown, json }: ReportOptions): ((report: Report) => readonly string[]) | undefined {
  if (json) return (report) => [jsonText(report)];
  return markdown ? markdownLines : undefined;
}

/** Analyses logs one after the other. @throws SplitError if one cannot be read. */
async function reportOn(logs: readonly FoundLog[]): Promise<Report> {
  const runs: RunReport[] = [];
  const variants = new Map<RunReport, Variant>();
  for (const { file, folder, isRun, variant } of logs) {
    const found = await analyseLog(file, folder);
    const report = isRun ? await withKernels(found) : found;
    runs.push(report);
    if (variant) variants.set(report, variant);
  }
  return makeReport(runs, variants);
}

/** The folder of a run; of several, the one in which the first run's folder is. */
function sharedFolder([first, ...others]: readonly FoundLog[]): string {
  return others.length === 0 ? first!.folder : dirname(first!.folder);
}

async function writeCsv(logs: readonly FoundLog[], file: string, { stdout }: Services): Promise<number> {
  await streamToFile(file, csvOf(namedLogs(logs)), ADVICE);
  stdout.print(file);
  return 0;
}

/** Logs with the names of their folders; with the path of a log that is not in its run's folder, or whose name is not its own. */
function namedLogs(logs: readonly FoundLog[]): NamedLog[] {
  const names = logs.map(({ file, folder, isRun }) => (isRun ? basename(resolve(folder)) : file));
  return logs.map(({ file }, i) => {
    const isUnique = names.filter((name) => name === names[i]).length === 1;
    return { file, run: isUnique ? names[i]! : file };
  });
}

/** @throws ConfigError if the file to write is one of the logs, by any name. */
function refuseLog(file: string, logs: readonly FoundLog[]): void {
  const there = writing(file, () => statSync(file, { throwIfNoEntry: false }));
  const isLog = logs.map((log) => statSync(log.file)).some(({ dev, ino }) => dev === there?.dev && ino === there.ino);
  if (isLog) throw new ConfigError(`Cannot write ${file}: it is the log that the report reads; ${ADVICE}`);
}

function writing<T>(file: string, action: () => T): T {
  return explained(`write ${file}`, ADVICE, action);
}

async function check(logs: readonly FoundLog[], { json }: ReportOptions, { stdout }: Services): Promise<number> {
  const results: ({ file: string; valid: boolean } & LogCheck)[] = [];
  for (const { file } of logs) {
    const result = await checkLog(file);
    results.push({ file, valid: result.problemCount === 0, ...result });
    if (!json) stdout.print(...checkLines(file, result));
  }
  if (json) stdout.print(JSON.stringify({ version: packageVersion(), logs: results }));
  return results.every(({ valid }) => valid) ? 0 : 1;
}

function checkLines(file: string, { lines, events, runs, problems, problemCount, notes }: LogCheck): string[] {
  const shown = problems.slice(0, MOST_PROBLEMS).map(({ line, message }) => `${file}: line ${line}: ${message}`);
  const more = problemCount - shown.length;
  return [
    ...notes.slice(0, MOST_PROBLEMS).map(({ line, message }) => `${file}: note: line ${line}: ${message}`),
    ...shown,
    ...(more > 0 ? [`${file}: and ${plural(more, 'more problem')}`] : []),
    problemCount === 0
      ? `${file}: valid: ${plural(lines, 'line')}, ${plural(events, 'event')}, ${plural(runs, 'start')} of a process`
      : `${file}: NOT valid: ${plural(problemCount, 'problem')} in ${plural(lines, 'line')}`,
  ];
}
