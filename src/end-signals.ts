/** The signals with which people, terminals, schedulers and service managers end a process. */
import { readFileSync, readlinkSync } from 'node:fs';
import { constants } from 'node:os';
import { basename } from 'node:path';

export const END_SIGNALS = ['SIGINT', 'SIGTERM', 'SIGHUP', 'SIGUSR1'] as const;

export type EndSignal = (typeof END_SIGNALS)[number];

/** How many ancestors are searched for a shell that ignores SIGHUP. */
const MAX_ANCESTORS = 16;

let ignored: ReadonlySet<EndSignal> | undefined;
let early: EndSignal | undefined;
let isProgram = false;

/** Returns 128 plus the number of the signal, as shells do. */
export function signalExitCode(name: string): number {
  return 128 + (constants.signals[name as NodeJS.Signals] ?? constants.signals.SIGINT);
}

/**
 * Whether the process was started with the signal ignored, as `nohup` starts it with SIGHUP. Node.js resets that when it
 * starts, so for SIGHUP the function looks for a shell of the same session that ignores it, and for traces of `nohup`.
 * The first call takes some milliseconds.
 */
export function isIgnored(name: EndSignal): boolean {
  ignored ??= new Set(
    END_SIGNALS.filter((each) => ignores('self', each) || (each === 'SIGHUP' && isHangupIgnored(process.env))),
  );
  return ignored.has(name);
}

/**
 * Handles signals from the start of the command line: ignores those that were ignored before, and remembers SIGUSR1, for
 * which Node.js would open a debugger port, for {@link earlySignal}.
 */
export function handleSignalsEarly(): void {
  isProgram = true;
  for (const name of END_SIGNALS) if (isIgnored(name)) process.on(name, () => {});
  process.on('SIGUSR1', () => {
    early ??= 'SIGUSR1';
  });
}

/** Returns the signal that has come since {@link handleSignalsEarly} without an effect. */
export function earlySignal(): EndSignal | undefined {
  return early;
}

/** Whether the process is the command line, and not a program that uses the library. */
export function isStandaloneProgram(): boolean {
  return isProgram;
}

function isHangupIgnored(env: NodeJS.ProcessEnv): boolean {
  // Shells store in `_` what they start: `nohup`, which then started this process, perhaps through npm.
  if (basename(env._ ?? '') === 'nohup') return true;
  if (isUnreadableStdin() || [1, 2].some((each) => basename(linkOf(`fd/${each}`)) === 'nohup.out')) return true;
  const session = sessionOf('self');
  let ancestor = fieldOf('self', 'PPid');
  for (let i = 0; i < MAX_ANCESTORS && ancestor && ancestor !== '0' && sessionOf(ancestor) === session; i++) {
    if (ignores(ancestor, 'SIGHUP')) return true;
    ancestor = fieldOf(ancestor, 'PPid');
  }
  return false;
}

/** `nohup` replaces a terminal on stdin by /dev/null, opened for writing only. */
function isUnreadableStdin(): boolean {
  if (linkOf('fd/0') !== '/dev/null') return false;
  const [, flags] = /^flags:\s*(\d+)/m.exec(textOf('self', 'fdinfo/0')) ?? [];
  return Number.parseInt(flags ?? '0', 8) % 4 === 1; // O_WRONLY
}

function ignores(pid: string, name: EndSignal): boolean {
  const mask = BigInt(`0x${fieldOf(pid, 'SigIgn') || '0'}`);
  return (mask & (1n << BigInt(constants.signals[name] - 1))) !== 0n;
}

/** Returns a line of /proc/PID/status; an empty string if the system has no such file. */
function fieldOf(pid: string, name: string): string {
  return new RegExp(`^${name}:\\s*(\\S+)$`, 'm').exec(textOf(pid, 'status'))?.[1] ?? '';
}

function sessionOf(pid: string): string {
  // The fields after the command, which is in parentheses and may have any character: state, parent, group, session.
  const stat = textOf(pid, 'stat');
  return stat.slice(stat.lastIndexOf(')') + 2).split(' ')[3] ?? '';
}

function textOf(pid: string, file: string): string {
  try {
    return readFileSync(`/proc/${pid}/${file}`, 'utf8');
  } catch {
    return ''; // macOS, or the process has ended
  }
}

function linkOf(file: string): string {
  try {
    return readlinkSync(`/proc/self/${file}`);
  } catch {
    return '';
  }
}
