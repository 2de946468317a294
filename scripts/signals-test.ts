/**
 * Tells trainings under npm to stop, as terminals, service managers and schedulers do, with each shell that npm may use, and
 * looks at how each ends: `node dist/scripts/signals-test.js [times] [flags of train …]`.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdtempSync, readFileSync, realpathSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { checkpointsFolder, newestCheckpoint } from '../src/checkpoint/store.js';
import { type EndSignal, signalExitCode } from '../src/end-signals.js';

const ROOT = fileURLToPath(new URL('../../', import.meta.url));
/** Runs a program in a pseudo-terminal. */
export const IN_TERMINAL = join(ROOT, 'scripts', 'in-terminal.py');
/** A few milliseconds a step, and no end. */
const RUN = ['--preset', 'lenet', '--batch-size', '16', '--no-check', '--steps', '1000000', '--eval-every', '1000000'];
/** So many steps before the signal. */
const STEPS = 3;
const LOOK_MS = 20;
const START_MS = 120_000;
const GONE_MS = 10_000;

/** How a run is told. */
export interface Way {
  name: string;
  signal: EndSignal;
  /** Whether npm is the first process of a terminal of its own. */
  inTerminal?: boolean;
  /** Does it; npm is the child, or what the terminal is written to, and the first of its process group. */
  tell(child: ChildProcess): void;
}

export const WAYS: readonly Way[] = [
  {
    name: 'Ctrl-C in a terminal',
    signal: 'SIGINT',
    inTerminal: true,
    tell: ({ stdin }) => void stdin!.write('type \\x03\n'),
  },
  { name: 'SIGTERM to npm', signal: 'SIGTERM', tell: (child) => void child.kill('SIGTERM') },
  { name: 'SIGUSR1 to the group', signal: 'SIGUSR1', tell: ({ pid }) => void process.kill(-pid!, 'SIGUSR1') },
];

export const SHELLS = ['/bin/dash', '/bin/bash'] as const;

export interface Told {
  way: Way;
  shell: string;
  flags: readonly string[];
  out: string;
  run: string;
}

/** Trains once and tells it to stop. @returns what is wrong with how it ended; nothing when it ended in order. */
export async function tellOnce({ way, shell, flags, out, run }: Told): Promise<string[]> {
  const npm = ['npm', 'run', 'train:split', '--', ...RUN, ...flags, '--out', out, '--run', run];
  const [command, ...args] = way.inTerminal ? ['python3', IN_TERMINAL, ...npm] : npm;
  const env: NodeJS.ProcessEnv = {
    ...process.env,
    npm_config_script_shell: shell,
    npm_config_update_notifier: 'false',
  };
  delete env.NODE_TEST_CONTEXT;
  const child = spawn(command!, args, { cwd: ROOT, env, detached: true, stdio: 'pipe' });
  let [said, isOver] = ['', false];
  child.stdout.on('data', () => {});
  child.stderr.on('data', (bytes) => {
    said += bytes;
  });
  const ended = once(child, 'exit').finally(() => {
    isOver = true;
  });
  try {
    const folder = join(out, run);
    const isTraining = () => eventsIn(folder).filter(({ event }) => event === 'train_step').length >= STEPS;
    if (!(await until(() => isOver || isTraining(), START_MS)) || isOver) return [`it did not train: ${said}`];
    way.tell(child);
    await Promise.race([ended, sleep(START_MS, undefined, { ref: false })]);
    if (!isOver) return ['it did not end'];
    const isGone = await until(() => !isThere(child.pid!), GONE_MS);
    const terminal = way.inTerminal ? (JSON.parse(said.trimEnd().split('\n').at(-1)!) as InTerminal) : undefined;
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

/** What is wrong with the end of a run that the signal stopped: its last event, and the checkpoint. */
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

/** Whole lines of a run's log; none where there is none yet. */
export function eventsIn(folder: string): Record<string, unknown>[] {
  const file = join(folder, 'log.ndjson');
  if (!existsSync(file)) return [];
  const lines = readFileSync(file, 'utf8').split('\n').slice(0, -1);
  return lines.map((line) => JSON.parse(line) as Record<string, unknown>);
}

/** Waits until something is so. @returns whether it is. */
export async function until(isSo: () => boolean, ms: number): Promise<boolean> {
  for (const end = performance.now() + ms; !isSo(); await sleep(LOOK_MS)) if (performance.now() > end) return false;
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
  const out = mkdtempSync(join(tmpdir(), 'alexnet-split-signals-'));
  const print = (line: string) => process.stdout.write(`${line}\n`);
  const rows: string[] = [];
  let wrong = 0;
  try {
    for (const shell of SHELLS) {
      if (!existsSync(shell)) {
        print(`${shell} is not there: left out`);
        continue;
      }
      for (const [i, way] of WAYS.entries()) {
        let inOrder = 0;
        for (let n = 1; n <= Number(times); n++) {
          const faults = await tellOnce({ way, shell, flags, out, run: `${shell.slice(5)}-${i}-${n}` });
          if (faults.length === 0) inOrder++;
          else print(`${way.name}, ${shell}, ${n}: ${faults.join('; ')}`);
        }
        wrong += Number(times) - inOrder;
        rows.push(`| ${way.name} | ${shell} | ${inOrder} of ${times} |`);
        print(rows.at(-1)!);
      }
    }
    for (const line of ['', '| told by | shell of npm | ended in order |', '|---|---|---|', ...rows]) print(line);
    return wrong === 0 ? 0 : 1;
  } finally {
    rmSync(out, { recursive: true, force: true });
  }
}

if (process.argv[1] && realpathSync(process.argv[1]) === fileURLToPath(import.meta.url)) {
  process.exitCode = await main(process.argv.slice(2));
}
