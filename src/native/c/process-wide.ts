/**
 * A lock, and a few words of memory, that all threads of the process share: whichever come first, and whether or not one
 * has started the other.
 *
 * They lie in C's memory, and their address stands in the C environment of the process (not in `process.env`, of which a
 * worker has only a copy). It is put there once, before TensorFlow is loaded and has threads that read the environment,
 * and never changes: `setenv` that does not overwrite decides between threads that come at the same moment.
 */
import { readFileSync } from 'node:fs';
import { NativeError } from '../../errors.js';
import { RunningClock } from '../../running-time.js';
import { bind, type CFunctions, loadKoffi, type Pointer } from '../install/koffi.js';
import { DEADLINE_EXCEEDED, INTERNAL } from './status.js';

const koffi = loadKoffi();

/** What the threads share besides the lock: addresses, 0n at first. Read and written by the lock's owner alone. */
export interface ProcessWords {
  /** A C string, the files of the library that was loaded, one a line. */
  library: Pointer;
  /** C's own `stderr` while another is in its place. */
  stderr: Pointer;
  /** The TFE_Context. */
  context: Pointer;
}

const WORDS = ['library', 'stderr', 'context'] as const satisfies readonly (keyof ProcessWords)[];

/** A `pthread_mutex_t` has 40 to 64 bytes. */
const WORDS_AT = 128n;
const BLOCK_BYTES = 256;

/** `PTHREAD_MUTEX_ROBUST` of `pthread.h`. */
const ROBUST = 1;
const { EBUSY, EOWNERDEAD } = koffi.os.errno as Record<string, number>;

/** Loading from a slow disk and waking up eight GPUs take less. */
const WAIT_MS = 120_000;
const POLL_MICROSECONDS = 1_000;

const FUNCTIONS = [
  'void *calloc(size_t count, size_t bytes)',
  'void free(void *address)',
  'void *memcpy(_Out_ void *to, const void *from, size_t bytes)',
  'const char *getenv(const char *name)',
  'int setenv(const char *name, const char *value, int overwrite)',
  'int usleep(uint32_t microseconds)',
  'int pthread_mutexattr_init(_Out_ void *attributes)',
  'int pthread_mutex_init(void *mutex, const void *attributes)',
  'int pthread_mutex_trylock(void *mutex)',
  'int pthread_mutex_unlock(void *mutex)',
] as const;
/** macOS does not have these. */
const ROBUST_FUNCTIONS = [
  'int pthread_mutexattr_setrobust(_Out_ void *attributes, int robust)',
  'int pthread_mutex_consistent(void *mutex)',
] as const;

type Functions = CFunctions<(typeof FUNCTIONS)[number]> & Partial<CFunctions<(typeof ROBUST_FUNCTIONS)[number]>>;

let bound: Functions | undefined;
let own: Pointer | undefined;

/**
 * Runs `action` while no other thread of the process runs one. A thread that ended in the middle of its action holds up
 * nobody (on Linux, where the system tells): what it had not yet written into the words was not done.
 * @param doing what the action does, for the message ("load TensorFlow").
 * @param action gets the words, and may change them. It calls no `oneAtATime` of its own.
 * @param waitMs how long to wait for another thread's action.
 * @throws NativeError (DEADLINE_EXCEEDED) then; what `action` throws.
 */
export function oneAtATime<T>(doing: string, action: (words: ProcessWords) => T, waitMs = WAIT_MS): T {
  bound ??= bind([...FUNCTIONS, ...ROBUST_FUNCTIONS]);
  own ??= sharedBlock(bound);
  const c = bound;
  const block = own;
  lock(c, block, doing, waitMs);
  try {
    return action(wordsAt(c, block));
  } finally {
    c.pthread_mutex_unlock(block);
  }
}

function lock(c: Functions, block: Pointer, doing: string, waitMs: number): void {
  const clock = new RunningClock();
  for (;;) {
    const code = c.pthread_mutex_trylock(block);
    if (code === 0) return;
    if (code === EOWNERDEAD) {
      c.pthread_mutex_consistent!(block);
      return;
    }
    if (code !== EBUSY) throw new NativeError(`Cannot ${doing}: the system refuses the lock (error ${code})`, INTERNAL);
    if (clock.now() >= waitMs) {
      throw new NativeError(
        `Cannot ${doing}: another thread has been at it for ${waitMs / 1000} s and is not done, expected it to take less; check the disk that TensorFlow lies on and the driver (nvidia-smi), then start again`,
        DEADLINE_EXCEEDED,
      );
    }
    c.usleep(POLL_MICROSECONDS);
  }
}

/** The block of this process, made when there is none. */
function sharedBlock(c: Functions): Pointer {
  const name = `ALEXNET_SPLIT_SHARED_${processName()}`;
  const found = c.getenv(name);
  if (found) return BigInt(found);
  const made = c.calloc(1, BLOCK_BYTES);
  const attributes = new Uint8Array(64);
  c.pthread_mutexattr_init(attributes);
  c.pthread_mutexattr_setrobust?.(attributes, ROBUST);
  c.pthread_mutex_init(made, attributes);
  c.setenv(name, made.toString(), 0);
  const first = BigInt(c.getenv(name)!);
  if (first !== made) c.free(made);
  return first;
}

/**
 * No other process has this name. The number alone would not do: a child process inherits its parent's environment, and
 * may get the number of one that has ended.
 */
function processName(): string {
  try {
    // After the command in brackets, which may have any character: 20 fields, then when the process started.
    const stat = readFileSync('/proc/self/stat', 'utf8');
    return `${process.pid}_${stat.slice(stat.lastIndexOf(')') + 2).split(' ')[19]}`;
  } catch {
    return `${process.pid}`; // macOS
  }
}

function wordsAt(c: Functions, block: Pointer): ProcessWords {
  const words = {} as ProcessWords;
  for (const [i, word] of WORDS.entries()) {
    const address = block + WORDS_AT + BigInt(8 * i);
    Object.defineProperty(words, word, {
      get(): Pointer {
        const value = new BigUint64Array(1);
        c.memcpy(value, address, 8);
        return value[0]!;
      },
      set(value: Pointer) {
        c.memcpy(address, BigUint64Array.of(value), 8);
      },
    });
  }
  return words;
}
