/** Where the user of a script of npm's stands: npm starts it in the folder of its package. */
import fs from 'node:fs';
import { isAbsolute, join } from 'node:path';

/**
 * The folder from which the user typed `npm run …`, to which paths of the command line are relative.
 * @param root the clone.
 * @param args those of scripts/run.mjs.
 * @returns undefined where it was not npm that started this very command, by a script of this clone, in the clone: what
 * `INIT_CWD` says then is of another script.
 */
export function userFolder(root, args, env, cwd) {
  const { INIT_CWD: folder, npm_package_json: file, npm_lifecycle_script: script = '' } = env;
  if (folder === undefined || file === undefined || !isAbsolute(folder)) return undefined;
  const command = /scripts\/run\.mjs\s+(.*?)\s*$/.exec(script)?.[1];
  const words = command?.split(/\s+/).filter((word) => /^[\w-]/.test(word)); // not a shell's "$@"
  if (!words?.every((word, i) => args[i] === word)) return undefined;
  return isSame(file, join(root, 'package.json')) && isSame(cwd, root) ? folder : undefined;
}

function isSame(a, b) {
  return fs.existsSync(a) && fs.realpathSync(a) === fs.realpathSync(b);
}
