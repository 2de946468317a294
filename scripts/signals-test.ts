/**
 * Stops trainings under npm as terminals, service managers and schedulers do, with each shell that npm may use, and checks
 * how each ends: `node dist/scripts/signals-test.js [times] [flags of train …]`.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { checkpointsFolder, newestCheckpoint } from '../src/checkpoint/store.js';
import { type EndSignal, signalExitCode } from '../src/end-signals.js';
import { collect, eventsIn, inTemporaryFolder, isEntry, print } from './trainer.js';

const ROOT = fileURLToPath(new URL('../../', import.meta.url));
/** Runs a program in a pseudo-terminal. */
export const IN_TERMINAL = join(ROOT, 'scripts', 'in-terminal.py');
/** A run without end that takes a few milliseconds per step. */
const RUN = ['--preset', 'lenet', '--batch-size', '16', '--no-check', '--steps', '1000000', '--eval-every', '1000000'];
/** The number of steps before the signal. */
const STEPS = 3;
const POLL_MS = 20;
const START_MS = 120_000;
const GONE_MS = 10_000;

/** A way to stop a run. */
export interface Way {
  name: string;
  signal: EndSignal;
  /** Whether npm is the first process of a terminal of its own. */
  inTerminal?: boolean;
  /** @param child npm, or the program that runs npm in a terminal; the leader of its process group. */
  send(child: ChildProcess): void;
}

export const WAYS: readonly Way[] = [
  {
    name: 'Ctrl-C in a terminal',
    signal: 'SIGINT',
    inTerminal: true,
    send: ({ stdin }) => void stdin!.write('type \\x03\n'),
  },
  { name: 'SIGTERM to npm', signal: 'SIGTERM', send: (child) => void child.kill('SIGTERM') },
  { name: 'SIGUSR1 to the group', signal: 'SIGUSR1', send: ({ pid }) => void process.kill(-pid!, 'SIGUSR1') },
];

export const SHELLS = ['/bin/dash', '/bin/bash'] as const;

export interface Trial {
  way: Way;
  shell: string;
  flags: readonly string[];
  out: string;
  run: string;
}

/** Trains, and stops the training. @returns the faults of its end; none if it ended as documented. */
export async function stopOnce({ way, shell, flags, out, run }: Trial): Promise<string[]> {
  const npm = ['npm', 'run', 'train:split', '--', ...RUN, ...flags, '--out', out, '--run', run];
  const [command, ...args] = way.inTerminal ? ['python3', IN_TERMINAL, ...npm] : npm;
  const env: NodeJS.ProcessEnv = {
    ...process.env,
    npm_config_script_shell: shell,
    npm_config_update_notifier: 'false',
  };
  delete env.NODE_TEST_CONTEXT;
  const child = spawn(command!, args, { cwd: ROOT, env, detached: true, stdio: 'pipe' });
  child.stdout.resume();
  const { printed } = collect(child, ['stderr']);
  let isOver = false;
  const ended = once(child, 'exit').finally(() => {
    isOver = true;
  });
  try {
    const folder = join(out, run);
    const isTraining = () => eventsIn(folder).filter(({ event }) => event === 'train_step').length >= STEPS;
    if (!(await until(() => isOver || isTraining(), START_MS)) || isOver)
      return [`it did not train: ${printed.stderr}`];
    way.send(child);
    await Promise.race([ended, sleep(START_MS, undefined, { ref: false })]);
    if (!isOver) return ['it did not end'];
    const isGone = await until(() => !isThere(child.pid!), GONE_MS);
    // The process may end before its last line is read.
    if (way.inTerminal) await until(() => printed.stderr.endsWith('}\n'), GONE_MS);
    const terminal = way.inTerminal
      ? (JSON.parse(printed.stderr.trimEnd().split('\n').at(-1)!) as InTerminal)
      : undefined;
    const code = terminal?.code ?? child.exitCode ?? child.signalCode;
    return [
      ...faultsIn(folder, way.signal),
      ...(code === signalExitCode(way.signal) ? [] : [`npm ended with ${code}`]),
      ...(isGone && (terminal?.left.length ?? 0) === 0 ? [] : ['a process is left']),
    ];
  } finally {
    if (isThere(child.pid!)) process.kill(-child.pid!, 'SIGKILL');
  }
}

/** The last line of `in-terminal.py`. */
export interface InTerminal {
  code: number;
  left: number[];
}

/** Returns the faults in the last event and the last checkpoint of a run that a signal stopped. */
export function faultsIn(folder: string, signal: EndSignal): string[] {
  const last = eventsIn(folder).at(-1);
  if (last?.event !== 'run_end') return ['there is no run_end'];
  const { found, skipped } = newestCheckpoint(checkpointsFolder(folder));
  return [
    ...(last.status === 'stopped' ? [] : [`run_end says ${last.status}`]),
    ...(last.exit_code === signalExitCode(signal) ? [] : [`run_end has the exit code ${last.exit_code}`]),
    ...(found?.state.step === last.steps ? [] : [`the last checkpoint is of step ${found?.state.step}`]),
    ...skipped.map(({ why }) => `a checkpoint is not whole: ${why}`),
  ];
}

/** Waits until a condition holds. @returns whether it does. */
export async function until(isSo: () => boolean, ms: number): Promise<boolean> {
  for (const end = performance.now() + ms; !isSo(); await sleep(POLL_MS)) if (performance.now() > end) return false;
  return true;
}

/** Whether a process group has a process. */
function isThere(group: number): boolean {
  try {
    process.kill(-group, 0);
    return true;
  } catch {
    return false;
  }
}

async function main([times = '10', ...flags]: readonly string[]): Promise<number> {
  const rows: string[] = [];
  let wrong = 0;
  await inTemporaryFolder('signals', async (out) => {
    for (const shell of SHELLS.filter((each) => existsSync(each))) {
      for (const [i, way] of WAYS.entries()) {
        let good = 0;
        for (let n = 1; n <= Number(times); n++) {
          const faults = await stopOnce({ way, shell, flags, out, run: `${shell.slice(5)}-${i}-${n}` });
          if (faults.length === 0) good++;
          else print(`${way.name}, ${shell}, ${n}: ${faults.join('; ')}`);
        }
        wrong += Number(times) - good;
        rows.push(`| ${way.name} | ${shell} | ${good} of ${times} |`);
        print(rows.at(-1)!);
      }
    }
  });
  for (const line of ['', '| stopped by | shell of npm | ended as documented |', '|---|---|---|', ...rows]) print(line);
  return wrong === 0 ? 0 : 1;
}

if (isEntry(import.meta.url)) process.exitCode = await main(process.argv.slice(2));
