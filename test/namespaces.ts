/** Namespaces of the system: another container, or another disk, on this machine and for one child process. */
import { spawnSync } from 'node:child_process';

/** Namespaces that an ordinary user may make, if the system allows it. */
const AS_ROOT_INSIDE = ['--user', '--map-root-user'];

/**
 * The start of a command that runs another one in its own namespaces, `['unshare', '--mount']`, or why that is impossible here.
 * @param flags of unshare(1).
 */
export function inNamespaces(...flags: string[]): string[] | { skip: string } {
  for (const own of [[], AS_ROOT_INSIDE]) {
    const command = ['unshare', ...own, ...flags];
    if (spawnSync(command[0]!, [...command.slice(1), 'true']).status === 0) return command;
  }
  return { skip: `unshare ${flags.join(' ')} does not work here, for this user` };
}

/**
 * The start of a command that runs another one, for which alone a folder is mounted with an option.
 * @param option `noexec`, `ro`, or `empty` for an empty disk instead of the folder.
 */
export function withMount(folder: string, option: 'noexec' | 'ro' | 'empty'): string[] | { skip: string } {
  const own = inNamespaces('--mount');
  if ('skip' in own) return own;
  const mount =
    option === 'empty' ? 'mount -t tmpfs none "$0"' : `mount --bind "$0" "$0" && mount -o remount,bind,${option} "$0"`;
  return [...own, 'sh', '-c', `${mount} && exec "$@"`, folder];
}

/** The start of a command whose calls of flock(2) fail with that error. undefined if strace does not work. */
export function withoutLocks(error: string): string[] | undefined {
  const command = ['strace', '-f', '--seccomp-bpf', '-qq', '-e', 'trace=flock', '-e', `inject=flock:error=${error}`];
  const quiet = [...command, '-o', '/dev/null'];
  return spawnSync(quiet[0]!, [...quiet.slice(1), 'true']).status === 0 ? quiet : undefined;
}
