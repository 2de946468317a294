/** A Python process that answers a line on its stdin with a line of JSON. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';

/** The interpreter: the environment variable `BENCH_PYTHON` names another than `python3`. */
export const PYTHON = process.env.BENCH_PYTHON ?? 'python3';

/**
 * Starts a script, whose first line describes its libraries. The caller closes the process.
 * @param options the script's flags.
 * @returns undefined if it cannot run because PyTorch is missing; prints why.
 */
export async function openPython<Hello, Answer>(script: string, options: object, python: string) {
  const flags = Object.entries(options).flatMap(([name, value]) => [`--${name}`, String(value)]);
  const child = spawn(python, [script, ...flags], { stdio: ['pipe', 'pipe', 'pipe'] });
  let stderr = '';
  child.stderr.on('data', (chunk) => {
    stderr += chunk;
  });
  child.stdin.on('error', () => {}); // it has ended, so there will be no answer
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
  const failed = once(child, 'error').then(() => ({ done: true, value: '' }) as const);
  const closed = once(child, 'close').catch(() => {}); // it could not be started
  const answer = async (): Promise<unknown> => {
    const next = await Promise.race([lines.next(), failed]);
    return next.done ? undefined : JSON.parse(next.value);
  };
  const lastLine = async () => {
    await closed;
    return stderr.trim().split('\n').at(-1);
  };
  const hello = (await answer()) as Hello | undefined;
  if (!hello) {
    console.log(`without PyTorch: ${(await lastLine()) || `${python} cannot be run`}`);
    return undefined;
  }
  return {
    hello,
    /** @throws Error with the last line that it printed if it has ended. */
    async ask(line: string): Promise<Answer> {
      child.stdin.write(`${line}\n`);
      const result = (await answer()) as Answer | undefined;
      if (!result) throw new Error(`PyTorch ended: ${await lastLine()}`);
      return result;
    },
    close: (): void => void child.kill(),
  };
}
