/** Paths with `~`, where no shell has replaced it: in `--out=~/runs`, or in a file. */
import { existsSync } from 'node:fs';
import { homedir } from 'node:os';
import { isAbsolute, join } from 'node:path';
import { ConfigError, truncate } from './errors.js';

/**
 * Replaces a leading `~` of a path by the home folder. `~name` is a file's name if such a file exists.
 * @param where the source of the path for messages, such as `--out`.
 * @throws ConfigError for another user's `~name`, and if this user has no home folder.
 */
export function expandHome(path: string, where: string): string {
  if (!path.startsWith('~')) return path;
  if (path === '~' || path.startsWith('~/')) return join(homeFor(path, where), path.slice(1));
  if (existsSync(path)) return path;
  const [name = ''] = path.split('/');
  throw new ConfigError(
    `Cannot use ${where} "${truncate(path)}": ${truncate(name)} is another user's home, which is not looked up; write the path in full, or ./${truncate(path)} for a name that begins with ~`,
  );
}

function homeFor(path: string, where: string): string {
  let home = '';
  try {
    home = homedir();
  } catch {
    // HOME is not set, and the system does not know this user.
  }
  if (isAbsolute(home)) return home;
  throw new ConfigError(
    `Cannot use ${where} "${truncate(path)}": ~ is the home folder, and this user has none; set HOME, or write the path in full`,
  );
}
