/** Paths as people write them: `~` where a shell did not put the home folder in its place (`--out=~/runs`, a file). */
import { existsSync } from 'node:fs';
import { homedir } from 'node:os';
import { isAbsolute, join } from 'node:path';
import { ConfigError, truncate } from './errors.js';

/**
 * A path with the home folder in place of a `~` before it. What begins with `~` otherwise is a name if it is there.
 * @param where what gave the path, for the message: `--out`.
 * @throws ConfigError for another user's `~name`, and where there is no home.
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
    // Neither HOME nor an entry among the system's users says one.
  }
  if (isAbsolute(home)) return home;
  throw new ConfigError(
    `Cannot use ${where} "${truncate(path)}": ~ is the home folder, and this user has none; set HOME, or write the path in full`,
  );
}
