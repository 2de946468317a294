/** The script of npm's that a command was started by, and where its user stands: npm starts it in its package's folder. */
import { existsSync, realpathSync } from 'node:fs';
import { isAbsolute, join } from 'node:path';

export type Env = Readonly<Record<string, string | undefined>>;

/**
 * The script of this package that npm started and that became this very command.
 * @param root this package's folder.
 * @param args the command's arguments.
 * @returns its name, and the arguments that it gave; undefined where another script did, or none.
 */
export function npmScript(
  root: string,
  args: readonly string[],
  { npm_lifecycle_event: name, npm_lifecycle_script: text = '', npm_package_json: file }: Env,
): { name: string; words: readonly string[] } | undefined {
  const command = /scripts\/run\.mjs\s+(.*?)\s*$/.exec(text)?.[1];
  if (name === undefined || command === undefined || file === undefined) return undefined;
  const words = command.split(/\s+/).filter((word) => /^[\w-]/.test(word)); // not a shell's "$@"
  if (!words.every((word, i) => args[i] === word)) return undefined;
  return isSame(file, join(root, 'package.json')) ? { name, words } : undefined;
}

/**
 * The folder from which the user typed `npm run …`, to which paths of the command line are relative.
 * @returns undefined where it was not npm that started this very command, by a script of this package, in its folder:
 * what `INIT_CWD` says then is of another script.
 */
export function userFolder(root: string, args: readonly string[], env: Env, cwd: string): string | undefined {
  const { INIT_CWD: folder } = env;
  if (folder === undefined || !isAbsolute(folder)) return undefined;
  return npmScript(root, args, env) && isSame(cwd, root) ? folder : undefined;
}

function isSame(a: string, b: string): boolean {
  return existsSync(a) && realpathSync(a) === realpathSync(b);
}
