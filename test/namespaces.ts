/** Namespaces of the system: another container, or another disk, on this machine and for one child process. */
import { spawnSync } from 'node:child_process';

/** Those that an ordinary user may make where the system allows it at all. */
const AS_ROOT_INSIDE = ['--user', '--map-root-user'];

/**
 * The beginning of a command that runs another one in namespaces of its own, `['unshare', '--mount']`; or why there are none here.
 * @param flags of unshare(1).
 */
export function inNamespaces(...flags: string[]): string[] | { skip: string } {
  for (const own of [[], AS_ROOT_INSIDE]) {
    const command = ['unshare', ...own, ...flags];
    if (spawnSync(command[0]!, [...command.slice(1), 'true']).status === 0) return command;
  }
  return { skip: `unshare ${flags.join(' ')} does not work here, for this user` };
}
