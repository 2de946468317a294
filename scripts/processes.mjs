/** What the scripts of a clone share: messages, child processes, and files. */
import { spawn } from 'node:child_process';
import fs from 'node:fs';
import { dirname } from 'node:path';

/** A signal that comes again within this time is the same one. */
const SAME_SIGNAL_MS = 500;

/** Ends the program with one line and exit code 1. */
export class SetupFailure extends Error {}

export function say(line) {
  process.stderr.write(`${line}\n`);
}

/**
 * Starts a program in a session of its own, so that signals reach its whole process group. It may write to the terminal,
 * and reads nothing. A signal that ends processes is forwarded to the group at once, and ends this process after the
 * program has ended. npm sends a terminal's Ctrl-C a second time, which is ignored.
 * @returns its exit code.
 */
export function start([file, ...args], options, onOutput) {
  return new Promise((resolve, reject) => {
    const child = spawn(file, args, { ...options, detached: true });
    let received;
    let last = 0;
    const kill = (signal) => {
      try {
        process.kill(-child.pid, signal);
      } catch {
        // All processes of the group have ended.
      }
    };
    const forward = (signal) => {
      if (Date.now() - last < SAME_SIGNAL_MS) return;
      last = Date.now();
      received ??= signal;
      kill(signal);
    };
    const pause = () => {
      kill('SIGSTOP');
      process.kill(process.pid, 'SIGSTOP');
    };
    const resume = () => kill('SIGCONT');
    // An ignored SIGHUP already has a listener.
    const signals = ['SIGINT', 'SIGTERM', 'SIGHUP'].filter((each) => process.listenerCount(each) === 0);
    for (const signal of signals) process.on(signal, forward);
    process.on('SIGTSTP', pause).on('SIGCONT', resume);
    for (const stream of [child.stdout, child.stderr]) stream?.on('data', onOutput);
    child.once('error', (error) =>
      reject(new SetupFailure(`Cannot run ${file}: ${error.message}; put it on the PATH`)),
    );
    child.once('close', (code, signal) => {
      for (const each of signals) process.off(each, forward);
      process.off('SIGTSTP', pause).off('SIGCONT', resume);
      const by = received ?? signal;
      if (by && process.listenerCount(by) === 0) process.kill(process.pid, by);
      else resolve(code ?? 1);
    });
  });
}

/**
 * Runs a program of the set-up. Prints its output only if it fails.
 * @param lock a descriptor that the program keeps open, because it may outlive this process.
 */
export async function run(name, command, root, lock, env = process.env) {
  const output = [];
  const options = { cwd: root, env, stdio: ['ignore', 'pipe', 'pipe', lock] };
  const code = await start(command, options, (chunk) => output.push(chunk));
  if (code === 0) return;
  process.stderr.write(Buffer.concat(output));
  throw new SetupFailure(`Cannot continue: ${name} failed with exit code ${code}; its message is above`);
}

/** Returns undefined if the file cannot be read. */
export function readText(file) {
  try {
    return fs.readFileSync(file, 'utf8');
  } catch {
    return undefined;
  }
}

/** Replaces a file in one step, so that it never contains half of the text. */
export function writeWhole(file, text) {
  fs.mkdirSync(dirname(file), { recursive: true });
  fs.writeFileSync(`${file}.${process.pid}`, text);
  fs.renameSync(`${file}.${process.pid}`, file);
}
