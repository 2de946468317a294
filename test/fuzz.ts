/** Fuzzing: cases made at random, each of which is read or refused, in little time and little memory. */
import assert from 'node:assert/strict';
import fs from 'node:fs';
import type { TestContext } from 'node:test';
import fc from 'fast-check';

export interface Fuzz<T> {
  /** What the cases are, for the line that is printed. */
  what: string;
  cases: fc.Arbitrary<T>;
  /** How many; `FUZZ_RUNS` says another number for all. */
  usual: number;
  /** Reads a case, and asserts what must hold for every result. */
  read(value: T): unknown;
  /** Whether what was thrown is a refusal in our words; of anything else the test fails. */
  refuses(error: unknown): boolean;
  /** What the process may grow by: far more than a case takes, and less than what would hurt. */
  mostBytes?: number;
}

/** How many cases a parser gets. */
export function casesOf(usual: number): number {
  return Number(process.env.FUZZ_RUNS) || usual;
}

/** Tries all cases, and prints how many were read, the longest time of one, and how much memory the process grew by. */
export async function fuzz<T>(
  t: Pick<TestContext, 'diagnostic'>,
  { what, cases, usual, read, refuses, mostBytes = 2 ** 29 }: Fuzz<T>,
): Promise<void> {
  let [good, refused, longestMs, mostBuffers] = [0, 0, 0, 0];
  const buffers = process.memoryUsage().arrayBuffers;
  const memory = trackMemory();
  const numRuns = casesOf(usual);
  await fc.assert(
    fc.asyncProperty(cases, async (value) => {
      const begun = performance.now();
      try {
        await read(value);
        good++;
      } catch (error) {
        if (!refuses(error)) throw error;
        refused++;
      }
      longestMs = Math.max(longestMs, performance.now() - begun);
      mostBuffers = Math.max(mostBuffers, process.memoryUsage().arrayBuffers - buffers);
      memory.look();
    }),
    { numRuns },
  );
  const grown = memory.grown();
  t.diagnostic(
    `${numRuns} ${what}: ${good} read, ${refused} refused, the longest ${longestMs.toFixed(0)} ms, ${(grown / 1e6).toFixed(0)} MB at most`,
  );
  assert.ok(good > 0 && refused > 0, `${good} ${what} read, ${refused} refused: the cases are all of one kind`);
  assert.ok(Math.max(grown, mostBuffers) < mostBytes, `${grown} bytes of memory, ${mostBuffers} of buffers`);
}

/**
 * Watches by how much the process grows from now on. The most that it ever had, `maxRSS`, does not fall, so that what stays
 * below an earlier peak would not show: Linux forgets that one when it is asked to. Elsewhere what `look()` sees counts too.
 */
export function trackMemory(): { look(): void; grown(): number } {
  const isFresh = forgetPeak();
  const [begun, peak] = [process.memoryUsage.rss(), process.resourceUsage().maxRSS];
  let most = begun;
  return {
    look() {
      if (!isFresh) most = Math.max(most, process.memoryUsage.rss());
    },
    grown() {
      if (isFresh) return Math.max(0, peakBytes() - begun);
      return Math.max(most - begun, 1024 * (process.resourceUsage().maxRSS - peak));
    },
  };
}

/** See proc(5), `clear_refs`. @returns whether the peak is now what the process has. */
function forgetPeak(): boolean {
  try {
    fs.writeFileSync('/proc/self/clear_refs', '5');
    return Math.abs(peakBytes() - process.memoryUsage.rss()) < 2 ** 24;
  } catch {
    return false;
  }
}

function peakBytes(): number {
  const kilobytes = /^VmHWM:\s+(\d+) kB$/m.exec(fs.readFileSync('/proc/self/status', 'utf8'))?.[1];
  return 1024 * Number(kilobytes);
}

/** One line that a person can read, whatever was in the file. */
export function isSentence(message: string): boolean {
  return message.length > 10 && message.length < 4_000;
}

/** Bytes: any, and those of a valid file or message, some of them changed, or truncated. */
export function damaged(good: Uint8Array): fc.Arbitrary<Buffer> {
  const byte = fc.nat({ max: 255 });
  const changes = fc.array(fc.tuple(fc.nat({ max: good.length - 1 }), byte), { minLength: 1, maxLength: 4 });
  return fc.oneof(
    fc.uint8Array({ maxLength: 200 }).map((bytes) => Buffer.from(bytes)),
    changes.map((all) => {
      const bytes = Buffer.from(good);
      for (const [at, value] of all) bytes[at] = value;
      return bytes;
    }),
    fc.nat({ max: good.length }).map((length) => Buffer.from(good.subarray(0, length))),
  );
}

/** Texts with a part replaced by any characters. */
export function edited(
  texts: fc.Arbitrary<string>,
  by = fc.string({ unit: 'binary', maxLength: 20 }),
): fc.Arbitrary<{ text: string; was: string }> {
  return fc.record({ was: texts, at: fc.nat(), length: fc.nat({ max: 20 }), by }).map(({ was, at, length, by }) => {
    const from = at % (was.length + 1);
    return { was, text: was.slice(0, from) + by + was.slice(from + length) };
  });
}

/** Stands for lists within lists, deeper than `JSON.stringify` could write them. */
const DEEP = '@deep@';
const DEPTH = 100_000;

/** Values that somebody's parser has stumbled over. */
const nasty: fc.Arbitrary<unknown> = fc.oneof(
  fc.jsonValue(),
  fc.constantFrom<unknown>(-1, 0.5, 2 ** 31, 2 ** 32, 2 ** 53, 1e308, -1e308, 1e-320, null, true, [], {}, DEEP),
  fc.constantFrom('', '\0', '..', '../../x', '/etc/passwd', '__proto__', 'constructor', '\u001b[2J', 'NaN', '1'),
  fc.constantFrom(100, 100_000).map((length) => 'x'.repeat(length)),
  fc.constantFrom(100, 20_000).map((length) => Array(length).fill(0)),
  fc
    .constantFrom('{"__proto__":{"a":1}}', '{"constructor":1}', '{"length":4294967296}')
    .map((text) => JSON.parse(text)),
);

/** Of what JSON is made of, and of what no text has. */
const scraps = fc.string({ unit: fc.constantFrom(...'{}[]":,01-e\\n \0\ufeff\ud800é'), maxLength: 9 });

interface Change {
  at: number;
  how: 'replace' | 'near' | 'remove' | 'add' | 'repeat';
  value: unknown;
  key: string;
  delta: number;
}

const changes: fc.Arbitrary<Change> = fc.record({
  at: fc.nat(),
  how: fc.constantFrom<Change['how']>('replace', 'near', 'near', 'remove', 'add', 'repeat'),
  value: nasty,
  key: fc.constantFrom('__proto__', 'constructor', 'toString', '', 'x', 'y'.repeat(50_000)),
  delta: fc.constantFrom(1, -1, 4, -4, 1e6, -1e6, 1e15),
});

/** JSON texts: of any value, or of this one with up to `most` changes anywhere in it, or in its text. */
export function jsonLike(base: unknown, most = 3): fc.Arbitrary<string> {
  const changed = fc.array(changes, { maxLength: most }).map((all) => {
    const copy = { root: structuredClone(base) };
    for (const each of all) change(copy, each);
    return textOf(copy.root);
  });
  const cut = edited(changed, scraps).map(({ text }) => text);
  return fc.oneof(
    { weight: 8, arbitrary: changed },
    { weight: 1, arbitrary: cut },
    { weight: 1, arbitrary: fc.oneof(nasty.map(textOf), scraps) },
  );
}

function textOf(value: unknown): string {
  return (JSON.stringify(value) ?? '').replaceAll(`"${DEEP}"`, () => '['.repeat(DEPTH) + ']'.repeat(DEPTH));
}

function change(root: Record<string, unknown>, { at, how, value, key, delta }: Change): void {
  const places: [Record<string, unknown>, string][] = [];
  const walk = (holder: Record<string, unknown>) => {
    for (const [name, each] of Object.entries(holder)) {
      places.push([holder, name]);
      if (typeof each === 'object' && each !== null && places.length < 10_000) walk(each as Record<string, unknown>);
    }
  };
  walk(root);
  const [holder, name] = places[at % places.length]!;
  const old = holder[name];
  if (how === 'replace') put(holder, name, value);
  else if (how === 'near') put(holder, name, near(old, delta) ?? value);
  else if (how === 'remove' && Array.isArray(holder)) holder.splice(Number(name), 1);
  else if (how === 'remove' && holder !== root) delete holder[name];
  else if (how === 'repeat' && Array.isArray(holder)) holder.push(old);
  else if (how === 'add' && Array.isArray(old)) old.push(value);
  else if (how === 'add' && typeof old === 'object' && old !== null) put(old as Record<string, unknown>, key, value);
}

/** `__proto__` as a key like any other. */
function put(holder: Record<string, unknown>, name: string, value: unknown): void {
  Object.defineProperty(holder, name, { value, enumerable: true, configurable: true, writable: true });
}

function near(value: unknown, delta: number): unknown {
  if (typeof value === 'number') return value + delta;
  if (typeof value === 'boolean') return !value;
  if (typeof value === 'string') return delta > 0 ? `${value}0` : value.slice(0, -1);
  return undefined;
}
