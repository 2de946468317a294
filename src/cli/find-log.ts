/** Finds the logs of the runs that a user names. */
import { lstatSync, readdirSync, realpathSync, type Stats, statSync } from 'node:fs';
import { dirname, join, normalize } from 'node:path';
import { checkRunName } from '../config/config.js';
import { nearRun } from '../config/near-run.js';
import { PRESETS } from '../config/presets.js';
import { ConfigError } from '../errors.js';
import type { Variant } from '../report/groups.js';
import { isAblation, readAblation } from './ablation.js';
import { explained } from './explain.js';
import { runFolder } from './run-folder.js';

const LOG_NAME = 'log.ndjson';

export interface FoundLog {
  file: string;
  /** The run's, where its weights and checkpoints are. */
  folder: string;
  /** Whether the file is in that folder under the name that a run gives it; a log from elsewhere has no weights. */
  isRun: boolean;
  /** Of a run of an ablation. */
  variant?: Variant;
}

/**
 * Finds logs.
 * @param names of runs in the folder of the runs, or paths of their folders, of logs, or of ablations. Without any, the run
 * whose log is the newest.
 * @param action for the message: "Cannot report on the run".
 * @param onLeftOut receives a sentence for each variant of an ablation that has no log.
 * @throws ConfigError if there is no such log, or one is named twice; SplitError if an ablation cannot be read.
 */
export function findLogs(names: readonly string[], action: string, onLeftOut = (_: string) => {}): FoundLog[] {
  const logs = names.length === 0 ? [newest(action)] : names.flatMap((name) => logsOf(name, action, onLeftOut));
  const seen = new Set<string>();
  for (const { file } of logs) {
    const real = realpathSync(file);
    if (seen.has(real)) throw new ConfigError(`Cannot ${action} ${file} twice; name each run once`);
    seen.add(real);
  }
  return logs;
}

/** Where the log of a run is, or will be. */
export type LogPlace = Pick<FoundLog, 'file' | 'folder'>;

/**
 * Finds the place of one run's log, which need not exist yet.
 * @param name as for {@link findLogs}. Without it, the run whose log is the newest.
 * @param wait whether there may be no folder of the run yet.
 * @throws ConfigError for an invalid name, if there is no such folder and no waiting, for the folder of an ablation, which has many logs, and if there is no run.
 */
export function placeOfLog(name: string | undefined, action: string, wait = false): LogPlace {
  if (name === undefined) return newest(action);
  const { path, isPath, inRuns } = pathOf(name);
  const kind = kindOf(path);
  if (kind?.isDirectory() && isAblation(path)) {
    throw new ConfigError(
      `Cannot ${action} ${path}: it is the folder of an ablation, expected one run; choose one of the folders in it`,
    );
  }
  if (kind?.isFile()) return logsOf(name, action)[0]!;
  if (path.endsWith('.ndjson')) {
    refuseMissing(dirname(path), name, action, wait);
    return { file: path, folder: dirname(path) };
  }
  if (!isPath) checkRunName(name);
  const folder = normalize(isPath ? path : inRuns).replace(/(?<=.)[/\\]+$/, '');
  refuseMissing(folder, name, action, wait);
  return { file: join(folder, LOG_NAME), folder };
}

/** @throws ConfigError if there is no folder for the log. */
function refuseMissing(folder: string, name: string, action: string, wait: boolean): void {
  if (wait || kindOf(folder)?.isDirectory()) return;
  throw new ConfigError(
    `Cannot ${action} the run ${name}: there is no folder ${folder}${nearRun(name)}; name a run, or wait for this one with --wait`,
  );
}

/** A word is a run in the folder of the runs, if there is one. Anything else is a path. */
function pathOf(name: string) {
  const isPath = /[/\\]/.test(name);
  const inRuns = runFolder({ run: name, out: PRESETS.mini.out });
  return { path: !isPath && kindOf(inRuns)?.isDirectory() ? inRuns : name, isPath, inRuns };
}

function logsOf(name: string, action: string, onLeftOut = (_: string) => {}): FoundLog[] {
  const { path, isPath, inRuns } = pathOf(name);
  const kind = kindOf(path);
  if (!kind) {
    const where = isPath ? name : `${inRuns} or ${name}`;
    throw new ConfigError(
      `Cannot ${action} the run ${name}: there is no ${where}${nearRun(name)}, expected the name or the folder of a run, or its ${LOG_NAME}`,
    );
  }
  if (!kind.isDirectory()) {
    // A link that the user names leads to the log. One in a run's folder is refused.
    const file = lstatSync(path).isSymbolicLink() ? realpathSync(path) : path;
    return [{ file, folder: dirname(path), isRun: false }];
  }
  if (isAblation(path)) return logsOfAblation(path, action, onLeftOut);
  const file = join(path, LOG_NAME);
  if (kindOf(file)) return [{ file, folder: path, isRun: true }];
  throw new ConfigError(`Cannot ${action} the run ${path}: it has no ${LOG_NAME}; choose another run`);
}

function logsOfAblation(folder: string, action: string, onLeftOut: (sentence: string) => void): FoundLog[] {
  const { rows } = readAblation(folder, `${action} the ablation in`, 'choose another run');
  const isOneSeed = new Set(rows.map(({ seed }) => seed)).size < 2;
  const logs = rows.flatMap(({ variant, change, seed, run }): FoundLog[] => {
    const training = isOneSeed ? variant : `${variant} with seed ${seed}`;
    if (run === null) {
      onLeftOut(`${training} is left out: it has not been trained yet`);
      return [];
    }
    checkRunName(run);
    const file = join(folder, run, LOG_NAME);
    if (kindOf(file)) return [{ file, folder: join(folder, run), isRun: true, variant: { variant, change } }];
    onLeftOut(`${training} is left out: there is no ${file}`);
    return [];
  });
  if (logs.length > 0) return logs;
  throw new ConfigError(
    `Cannot ${action} the ablation ${folder}: none of its runs has a ${LOG_NAME}; choose another run`,
  );
}

function newest(action: string): FoundLog {
  const out: string = PRESETS.mini.out;
  const folders = kindOf(out)?.isDirectory() ? inFolder(out).map((name) => join(out, name)) : [];
  const found = folders.flatMap((folder) => {
    const time = kindOf(join(folder, LOG_NAME))?.mtimeMs;
    return time === undefined ? [] : [{ folder, time }];
  });
  if (found.length === 0) {
    throw new ConfigError(
      `Cannot ${action} the newest run: there is no run in ${out}; name a run, its folder or its ${LOG_NAME}`,
    );
  }
  const { folder } = found.reduce((a, b) => (b.time > a.time ? b : a));
  return { file: join(folder, LOG_NAME), folder, isRun: true };
}

function inFolder(folder: string): string[] {
  return explained(`read ${folder}`, 'make it readable, or name a run', () => readdirSync(folder));
}

function kindOf(path: string): Stats | undefined {
  try {
    return statSync(path);
  } catch {
    return undefined; // nothing there, or not for this user: reading says why
  }
}
