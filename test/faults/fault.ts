/**
 * Faults that tests inject into the worker threads. The variable `TEST_FAULT` has the fault; `workers.ts`, which a test
 * imports first and a child process loads with `node --import`, starts worker files of this folder that read it.
 */
import assert from 'node:assert/strict';

/**
 * `throw`: an unexpected error; `exit`: the thread ends; `hang`: it waits forever; `stuck`: the same in C, where nothing can
 * end it; `slow`: it takes longer; `memory`: the device has no memory left; `heap`: JavaScript has no memory left.
 */
export const THREAD_KINDS = ['throw', 'exit', 'hang', 'stuck', 'slow', 'memory', 'heap'] as const;
export type ThreadKind = (typeof THREAD_KINDS)[number];

/** The phase in which a tower fails. `checkpoint` is after that step; `open` has step 0. */
export const PHASES = ['open', 'forward', 'backward', 'update', 'evaluate', 'checkpoint'] as const;
export type Phase = (typeof PHASES)[number];

/**
 * What happens to a message: `late`: it arrives after the peer's deadline; `lost`: it never arrives; `repeated`: the previous
 * message arrives instead; `reordered`: it has the number of the next one; `reshaped`: its sizes are in another order;
 * `flipped`: one bit of its values is wrong.
 */
export const MESSAGE_KINDS = ['late', 'lost', 'repeated', 'reordered', 'reshaped', 'flipped'] as const;
export type MessageKind = (typeof MESSAGE_KINDS)[number];

export type Fault =
  /** `KIND@PHASE:STEP`: tower 1, of the last pair if there are several. */
  | { on: 'tower'; kind: ThreadKind; phase: Phase; step: number; part: 1 | 'whole' }
  /** `KIND@data:STEP`: the data worker at that training batch. */
  | { on: 'data'; kind: ThreadKind; step: number }
  /** `KIND@SITE:STEP`: tower 1's first message there. */
  | { on: 'message'; kind: MessageKind; site: string; step: number }
  /** `nan@LAYER:STEP`: the layer's kernel is NaN before that step. */
  | { on: 'kernel'; layer: string; step: number }
  /** `swap-channels@SITE`: the towers' halves are joined in the wrong order at that site. */
  | { on: 'join'; site: string }
  /** `drift@average`: the last replica has other sums of gradients than the others. */
  | { on: 'average' }
  /** `wrong-bytes@device`: the device transport delivers wrong values. */
  | { on: 'device' };

/** Parses a fault. A fault with ` single` at its end is for the tower that has the whole net. */
export function parseFault(text: string): Fault {
  const [, kind, place = '', at, isWhole] = /^([a-z-]+)@([a-z0-9]+)(?::(\d+))?( single)?$/.exec(text) ?? [];
  if (text === 'wrong-bytes@device') return { on: 'device' };
  if (text === 'drift@average') return { on: 'average' };
  if (kind === 'swap-channels') return { on: 'join', site: place };
  assert.ok(at !== undefined, `there is no fault ${text}`);
  const step = Number(at);
  if (kind === 'nan') return { on: 'kernel', layer: place, step };
  if (isOneOf(MESSAGE_KINDS, kind)) return { on: 'message', kind, site: place, step };
  assert.ok(isOneOf(THREAD_KINDS, kind), `there is no fault ${text}`);
  if (place === 'data') return { on: 'data', kind, step };
  assert.ok(isOneOf(PHASES, place), `there is no fault ${text}`);
  return { on: 'tower', kind, phase: place, step, part: isWhole ? 'whole' : 1 };
}

/** The fault that this process and its threads inject, if any. */
export function currentFault(): Fault | undefined {
  const { TEST_FAULT } = process.env;
  return TEST_FAULT === undefined ? undefined : parseFault(TEST_FAULT);
}

/** Makes the threads that `action` starts inject a fault. @param fault null for no fault. */
export async function withFault<T>(fault: string | null, action: () => Promise<T>): Promise<T> {
  if (fault !== null) process.env.TEST_FAULT = fault;
  try {
    return await action();
  } finally {
    delete process.env.TEST_FAULT;
  }
}

/** The arguments of Node.js and the environment for a child process that injects a fault. */
export function childWithFault(fault: string): { args: string[]; env: NodeJS.ProcessEnv } {
  return {
    args: ['--import', new URL('workers.js', import.meta.url).href],
    env: { ...process.env, TEST_FAULT: fault },
  };
}

function isOneOf<const T extends readonly string[]>(names: T, name: string | undefined): name is T[number] {
  return names.includes(name as string);
}
