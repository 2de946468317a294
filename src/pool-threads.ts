/**
 * The threads of libuv's pool, in which sharp decodes images. The pool starts at its first use in the process, with as many
 * threads as the environment variable `UV_THREADPOOL_SIZE` says then, or four. `bin/threads.cjs` sets it for the commands.
 */
import { readdirSync, readFileSync } from 'node:fs';
import { isMainThread } from 'node:worker_threads';

/** How many libuv starts if the variable is not set, and how many at most. */
const [UNSET, MOST] = [4, 1024];

/** More decoders are not used. As in `bin/threads.cjs`. */
export const MOST_DECODERS = 64;

/** What decides the number of threads; replacements for tests. */
export interface PoolSystem {
  /** `UV_THREADPOOL_SIZE` now. */
  asked?: string | undefined;
  /** The environment with which the process was started, if the system tells. */
  initial?: string | undefined;
  /** The major version of Node.js. */
  node?: number;
  /** Whether the program's first file is an ES module. */
  isModule?: boolean;
  /** The threads of the process by name. */
  threads?: readonly string[];
}

/**
 * Returns the number of threads that the pool has or will have. Exact on Linux with Node.js 22 and newer, which name the
 * threads; elsewhere as the variable says, unless it was set too late.
 */
export function poolThreads({
  asked = process.env.UV_THREADPOOL_SIZE,
  initial = textOf('/proc/self/environ'),
  node = Number.parseInt(process.versions.node, 10),
  isModule = process.mainModule === undefined,
  threads = namesOfThreads(),
}: PoolSystem = {}): number {
  const started = threads.filter((name) => name === 'libuv-worker').length;
  if (started > 0) return started;
  // Node.js 20 reads ES modules in the pool, so before any of their code runs.
  const isLate = node < 22 && isModule && initial !== undefined;
  const value = isLate ? /(?:^|\0)UV_THREADPOOL_SIZE=([^\0]*)/.exec(initial)?.[1] : asked;
  if (value === undefined) return UNSET;
  return Math.min(MOST, Math.max(1, Number.parseInt(value, 10) || 0));
}

/**
 * Asks for `count` threads, if nothing has set their number; it has an effect if the pool has not started yet.
 * @returns how many there are, as {@link poolThreads}.
 */
export function widenPool(count: number): number {
  // In another thread the environment is a copy, which libuv does not read.
  if (isMainThread && count > UNSET) process.env.UV_THREADPOOL_SIZE ??= String(Math.min(MOST, count));
  return poolThreads();
}

function namesOfThreads(): string[] {
  try {
    return readdirSync('/proc/self/task').map((id) => textOf(`/proc/self/task/${id}/comm`)?.trim() ?? '');
  } catch {
    return []; // not Linux
  }
}

function textOf(file: string): string | undefined {
  try {
    return readFileSync(file, 'utf8');
  } catch {
    return undefined; // another system, or a thread that has ended
  }
}
