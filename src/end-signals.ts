/** The signals by which people, terminals, schedulers and service managers tell a process to end. */
import { readFileSync, readlinkSync } from 'node:fs';
import { constants } from 'node:os';
import { basename } from 'node:path';

export const END_SIGNALS = ['SIGINT', 'SIGTERM', 'SIGHUP', 'SIGUSR1'] as const;

export type EndSignal = (typeof END_SIGNALS)[number];

/** How far up it is looked for a shell that ignores SIGHUP. */
const MOST_ANCESTORS = 16;

let ignored: ReadonlySet<EndSignal> | undefined;
let early: EndSignal | undefined;
let isProgram = false;

/** 128 and the signal's number, as a shell has it. */
export function signalExitCode(name: string): number {
  return 128 + (constants.signals[name as NodeJS.Signals] ?? constants.signals.SIGINT);
}

/**
 * Whether the process was started with the signal ignored, as `nohup` does it with SIGHUP. Node.js itself forgets it when it
 * starts, so for SIGHUP it is taken from what is around: a shell of the same session that ignores it, and what `nohup`
 * leaves. Looked for once, in some milliseconds.
 */
export function isIgnored(name: EndSignal): boolean {
  ignored ??= new Set(
    END_SIGNALS.filter((each) => ignores('self', each) || (each === 'SIGHUP' && isHangupIgnored(process.env))),
  );
  return ignored.has(name);
}

/**
 * Listens for a program that ends by itself: signals that are to be ignored are, and SIGUSR1, for which Node.js would open a
 * port for a debugger, is kept for who listens later ({@link earlySignal}).
 */
export function handleSignalsEarly(): void {
  isProgram = true;
  for (const name of END_SIGNALS) if (isIgnored(name)) process.on(name, () => {});
  process.on('SIGUSR1', () => {
    early ??= 'SIGUSR1';
  });
}

/** What came since {@link handleSignalsEarly} and did not end the process. */
export function earlySignal(): EndSignal | undefined {
  return early;
}

/** Whether the process is a program that ends by itself: {@link handleSignalsEarly} was called. */
export function isStandaloneProgram(): boolean {
  return isProgram;
}

/** @param env of the process. @param pid whose files are looked at, for tests. */
export function isHangupIgnored(env: NodeJS.ProcessEnv, pid: number | 'self' = 'self'): boolean {
  // A shell says in `_` what it started: nohup then started this, in place of itself or by way of npm.
  if (basename(env._ ?? '') === 'nohup') return true;
  if (leadsToNowhere(pid) || [1, 2].some((each) => basename(linkOf(pid, `fd/${each}`)) === 'nohup.out')) return true;
  const session = sessionOf(pid);
  let ancestor = fieldOf(pid, 'PPid');
  for (let i = 0; i < MOST_ANCESTORS && ancestor && ancestor !== '0' && sessionOf(ancestor) === session; i++) {
    if (ignores(ancestor, 'SIGHUP')) return true;
    ancestor = fieldOf(ancestor, 'PPid');
  }
  return false;
}

/** `nohup` puts in the place of a terminal what cannot be read: /dev/null, opened to be written. */
function leadsToNowhere(pid: number | 'self'): boolean {
  if (linkOf(pid, 'fd/0') !== '/dev/null') return false;
  const [, flags] = /^flags:\s*(\d+)/m.exec(textOf(pid, 'fdinfo/0')) ?? [];
  return Number.parseInt(flags ?? '0', 8) % 4 === 1; // O_WRONLY
}

function ignores(pid: number | string, name: EndSignal): boolean {
  const mask = BigInt(`0x${fieldOf(pid, 'SigIgn') || '0'}`);
  return (mask & (1n << BigInt(constants.signals[name] - 1))) !== 0n;
}

/** A line of `status`; empty where the system has no such file. */
function fieldOf(pid: number | string, name: string): string {
  return new RegExp(`^${name}:\\s*(\\S+)$`, 'm').exec(textOf(pid, 'status'))?.[1] ?? '';
}

function sessionOf(pid: number | string): string {
  // After the command in brackets, which may have any character: state, parent, group, session.
  const stat = textOf(pid, 'stat');
  return stat.slice(stat.lastIndexOf(')') + 2).split(' ')[3] ?? '';
}

function textOf(pid: number | string, file: string): string {
  try {
    return readFileSync(`/proc/${pid}/${file}`, 'utf8');
  } catch {
    return ''; // macOS, or the process is gone
  }
}

function linkOf(pid: number | string, file: string): string {
  try {
    return readlinkSync(`/proc/${pid}/${file}`);
  } catch {
    return '';
  }
}
