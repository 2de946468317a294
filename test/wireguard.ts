/** `wg-quick` on the hosts of a network: with the kernel's WireGuard, or with the one that runs as a program. */
import { type ChildProcess, spawnSync } from 'node:child_process';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Host } from './network.js';

/** Why it is impossible here, as node:test's `skip` wants it; false if it is possible. */
export function noWireGuard(): string | false {
  if (process.getuid?.() !== 0) return 'only root can start WireGuard';
  const missing = ['wg', 'wg-quick'].filter((name) => spawnSync('which', [name]).status !== 0);
  if (missing.length > 0) return `${missing.join(' and ')} not installed (Debian's wireguard-tools)`;
  const probe = spawnSync('unshare', ['--net', 'ip', 'link', 'add', 'wg0', 'type', 'wireguard']);
  const program = spawnSync('which', ['wireguard-go']);
  return probe.status !== 0 && program.status !== 0 && 'the kernel has no WireGuard, and wireguard-go is not installed';
}

/**
 * Runs a command such as `wg-quick up wg0` on a host whose `/etc/wireguard/wg0.conf` has that text. The interface is there until
 * the host's processes end. @returns the process, which then prints `up`.
 */
export function wgQuick(host: Host, command: string, text: string, folder: string): ChildProcess {
  const own = join(folder, `wireguard-${host.name}`);
  mkdirSync(own);
  writeFileSync(join(own, 'wg0.conf'), text, { mode: 0o600 });
  // Each host sees files of its own; and with its first process all others of its own process namespace end.
  const start = [
    'mount -t tmpfs none /run && mkdir -p /run/wireguard /etc/wireguard',
    'mount --bind "$0" /etc/wireguard && mount -t proc proc /proc',
    `${command} && echo up && exec sleep infinity`,
  ].join(' && ');
  return host.spawn('unshare', ['--mount', '--pid', '--fork', '--kill-child=KILL', 'sh', '-c', start, own], {
    stdio: ['ignore', 'pipe', 'pipe'],
  });
}
