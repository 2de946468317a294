/**
 * Makes `ssh -N -L … -R … HOST` work between the hosts of a network: with the system's own sshd, or without it with a forwarder
 * that listens and connects where ssh would.
 */
import { execFileSync, spawnSync } from 'node:child_process';
import { existsSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { Host, Network } from './network.js';

const SSHD = '/usr/sbin/sshd';

/** Why ssh itself is not used here; undefined if it is. */
export function noSsh(): string | undefined {
  if (process.getuid?.() !== 0) return 'only root can start sshd in a namespace';
  return existsSync(SSHD) ? undefined : `there is no ${SSHD} (Debian's package openssh-server)`;
}

/** Starts sshd on every host. @returns what a script in the place of `ssh` runs. @param folder for keys and settings. */
export function startSshd({ hosts }: Network, folder: string): string {
  for (const name of ['host', 'user']) {
    execFileSync('ssh-keygen', ['-q', '-t', 'ed25519', '-N', '', '-f', join(folder, name)]);
  }
  const server = [`HostKey ${join(folder, 'host')}`, `AuthorizedKeysFile ${join(folder, 'user.pub')}`];
  writeFileSync(join(folder, 'sshd'), [...server, 'StrictModes no', 'UsePAM no', 'PidFile none', ''].join('\n'));
  const client = [
    ...[`IdentityFile ${join(folder, 'user')}`, 'User root', 'BatchMode yes', 'LogLevel ERROR'],
    ...['StrictHostKeyChecking no', 'UserKnownHostsFile /dev/null'],
    ...hosts.flatMap(({ name, address }) => [`Host ${name}`, `  HostName ${address}`]),
  ];
  writeFileSync(join(folder, 'ssh'), `${client.join('\n')}\n`);
  // It wants a folder that the system's service makes.
  const start = `mount -t tmpfs none /run && mkdir /run/sshd && exec ${SSHD} -D -f "$0"`;
  for (const host of hosts)
    host.spawn('unshare', ['--mount', 'sh', '-c', start, join(folder, 'sshd')], { stdio: 'inherit' });
  return `exec ${spawnSync('which', ['ssh'], { encoding: 'utf8' }).stdout.trim()} -F ${join(folder, 'ssh')} "$@"`;
}

let sockets = 0;

/** Does what `ssh` does with these arguments on that host. */
export function forward(network: Network, own: Host, args: readonly string[], folder: string): void {
  const program = fileURLToPath(new URL('forwarder.js', import.meta.url));
  const here: string[] = [];
  const there: string[] = [];
  for (const [i, flag] of args.entries()) {
    if (flag !== '-L' && flag !== '-R') continue;
    const [, from, to] = /^(.+:\d+):(.+:\d+)$/.exec(args[i + 1]!)!;
    const socket = join(folder, `${sockets++}`);
    const [listening, connecting] = flag === '-L' ? [here, there] : [there, here];
    listening.push(`${from}=${socket}`);
    connecting.push(`${socket}=${to}`);
  }
  own.spawn(process.execPath, [program, ...here]);
  network.host(args.at(-1)!).spawn(process.execPath, [program, ...there]);
}
