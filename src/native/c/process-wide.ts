/**
 * A lock and a few words of C's memory that all threads of the process share, even if none has started the other. Their
 * address is in the C environment of the process (not in `process.env`, of which a worker has only a copy). It is set once,
 * before TensorFlow has threads that read the environment, by `setenv` without overwriting: one of two threads wins.
 */
import { readFileSync } from 'node:fs';
import { NativeError } from '../../errors.js';
import { RunningClock } from '../../running-time.js';
import { bind, loadKoffi, type Pointer } from '../install/koffi.js';
import { libc } from './copy.js';
import { Code } from './status.js';

const koffi = loadKoffi();

/**
 * Addresses that the threads share, 0n at first: a C string with the files of the loaded library, one in each line; C's own
 * `stderr` while it is replaced; the TFE_Context. Only the owner of the lock may read and write them, except
 * that anyone may see whether there is a context.
 */
const WORDS = ['library', 'stderr', 'context'] as const;
export type ProcessWords = Record<(typeof WORDS)[number], Pointer>;

/** A `pthread_mutex_t` has 40 to 64 bytes. */
const WORDS_OFFSET = 128n;
const BLOCK_BYTES = 256;

/** `PTHREAD_MUTEX_ROBUST` of `pthread.h`. */
const ROBUST = 1;
const { EBUSY, EOWNERDEAD } = koffi.os.errno as Record<string, number>;

/** Loading from a slow disk and waking eight GPUs take less. */
const TIMEOUT_MS = 120_000;
const POLL_MICROSECONDS = 1_000;

const pthread = bind([
  'int pthread_mutexattr_init(_Out_ void *attributes)',
  'int pthread_mutex_init(void *mutex, const void *attributes)',
  'int pthread_mutex_trylock(void *mutex)',
  'int pthread_mutex_unlock(void *mutex)',
  // macOS does not have these two.
  'int pthread_mutexattr_setrobust(_Out_ void *attributes, int robust)',
  'int pthread_mutex_consistent(void *mutex)',
]);

let block: Pointer | undefined;

/**
 * Runs `action` while no other thread of the process runs one. On Linux, a thread that ended during its action blocks
 * nobody: what it had not yet written into the words does not exist.
 * @param doing what the action does, for the message ("load TensorFlow").
 * @param action may change the words, and must not call `oneAtATime`.
 * @throws NativeError (DEADLINE_EXCEEDED) if another thread's action takes longer than `timeoutMs`.
 */
export function oneAtATime<T>(doing: string, action: (words: ProcessWords) => T, timeoutMs = TIMEOUT_MS): T {
  block ??= sharedBlock();
  lock(block, doing, timeoutMs);
  try {
    return action(wordsAt(block + WORDS_OFFSET));
  } finally {
    pthread.pthread_mutex_unlock(block);
  }
}

/** Whether the process has a TensorFlow context, at this moment. Does not wait for a thread that is making it. */
export function hasContext(): boolean {
  const made = block ?? BigInt(libc.getenv(blockName()) ?? 0);
  return made !== 0n && wordsAt(made + WORDS_OFFSET).context !== 0n;
}

function lock(mutex: Pointer, doing: string, timeoutMs: number): void {
  const clock = new RunningClock();
  for (;;) {
    const code = pthread.pthread_mutex_trylock(mutex);
    if (code === EOWNERDEAD) pthread.pthread_mutex_consistent(mutex);
    if (code === 0 || code === EOWNERDEAD) return;
    if (code !== EBUSY)
      throw new NativeError(`Cannot ${doing}: the system refuses the lock (error ${code})`, Code.INTERNAL);
    if (clock.now() >= timeoutMs) {
      throw new NativeError(
        `Cannot ${doing}: another thread has been doing it for ${timeoutMs / 1000} s, expected it to take less; check the disk with TensorFlow and the driver (nvidia-smi), then start again`,
        Code.DEADLINE_EXCEEDED,
      );
    }
    libc.usleep(POLL_MICROSECONDS);
  }
}

function sharedBlock(): Pointer {
  const name = blockName();
  const found = libc.getenv(name);
  if (found) return BigInt(found);
  const made = libc.calloc(1, BLOCK_BYTES);
  const attributes = new Uint8Array(64);
  pthread.pthread_mutexattr_init(attributes);
  if (process.platform === 'linux') pthread.pthread_mutexattr_setrobust(attributes, ROBUST);
  pthread.pthread_mutex_init(made, attributes);
  libc.setenv(name, made.toString(), 0);
  const first = BigInt(libc.getenv(name));
  if (first !== made) libc.free(made);
  return first;
}

/** The name of the variable with the block's address. */
function blockName(): string {
  return `ALEXNET_SPLIT_SHARED_${processName()}`;
}

/** A name that no other process has: a child inherits the environment, and may get the pid of a process that has ended. */
function processName(): string {
  try {
    // Field 22 of proc(5) is the start time. The second field is in brackets and may contain spaces.
    const stat = readFileSync('/proc/self/stat', 'utf8');
    return `${process.pid}_${stat.slice(stat.lastIndexOf(')') + 2).split(' ')[19]}`;
  } catch {
    return `${process.pid}`; // macOS
  }
}

function wordsAt(address: Pointer): ProcessWords {
  const words = {} as ProcessWords;
  for (const [i, word] of WORDS.entries()) {
    const at = address + BigInt(8 * i);
    Object.defineProperty(words, word, {
      get: (): Pointer => BigInt(koffi.decode(at, 'uint64_t')),
      set: (value: Pointer) => koffi.encode(at, 'uint64_t', value),
    });
  }
  return words;
}
