/** Faults that tests inject. */
import { readSync } from 'node:fs';

import tf = require('@tensorflow/tfjs');

import { ConfigError } from '../errors.js';
import { stall, TAMPER_KINDS, type Tampering } from '../exchange/index.js';
import type { Net } from '../model/net.js';
import { isWeighted, sitesOf } from '../model/net.js';

/**
 * `throw`: an error that nobody foresaw; `exit`: the thread ends; `hang`: it waits without end; `stuck`: the same in C,
 * where nothing ends it; `slow`: it takes longer; `memory`: the device has no memory left; `heap`: JavaScript has none.
 */
const TOWER_KINDS = ['throw', 'exit', 'hang', 'stuck', 'slow', 'memory', 'heap'] as const;
/** Where in a tower. `checkpoint` is after that step. */
const PHASES = ['open', 'forward', 'backward', 'update', 'evaluate', 'checkpoint'] as const;
const DATA_KINDS = ['throw', 'exit', 'hang'] as const;

export type FaultPhase = (typeof PHASES)[number];

export interface Fault {
  /** `swap-channels@SITE`: the towers' halves come together in the wrong order at that site. */
  swapAt?: string;
  /** `wrong-bytes@device`: what comes by device is not what was sent. */
  wrongBytes?: boolean;
  /** `KIND@PHASE:STEP`: tower 1, or the one that has the whole net. */
  tower?: { kind: (typeof TOWER_KINDS)[number]; phase: FaultPhase; step: number };
  /** `nan@LAYER:STEP`: the layer's kernel has a NaN before that step. */
  nan?: { layer: string; step: number };
  /** `KIND@SITE:STEP`: tower 1's first message there. */
  message?: Tampering;
  /** `KIND@data:STEP`: the data worker at that training batch. */
  data?: { kind: (typeof DATA_KINDS)[number]; step: number };
}

/** @throws ConfigError for a fault that there is not in that net. */
export function parseFault(text: string | null, net: Net): Fault {
  if (text === null) return {};
  const sites = sitesOf(net).map(({ name }) => name);
  const layers: readonly string[] = net.layers.filter(isWeighted).map(({ name }) => name);
  if (text === 'wrong-bytes@device') return { wrongBytes: true };
  const [, kind, place, at] = /^([a-z-]+)@([a-z0-9]+)(?::(\d{1,9}))?$/.exec(text) ?? [];
  if (kind === 'swap-channels' && at === undefined && sites.includes(place!)) return { swapAt: place! };
  const step = Number(at);
  if (at !== undefined) {
    if (place === 'data' && isOneOf(DATA_KINDS, kind)) return { data: { kind, step } };
    if (isOneOf(PHASES, place) && isOneOf(TOWER_KINDS, kind)) return { tower: { kind, phase: place, step } };
    if (kind === 'nan' && layers.includes(place!)) return { nan: { layer: place!, step } };
    if (isOneOf(TAMPER_KINDS, kind) && sites.includes(place!)) return { message: { kind, site: place!, step } };
  }
  throw new ConfigError(
    `--fault is ${JSON.stringify(text)}, expected wrong-bytes@device, swap-channels@SITE, or with :STEP one of ${TOWER_KINDS.join(', ')} at ${PHASES.join(', ')}, one of ${DATA_KINDS.join(', ')} at data, one of ${TAMPER_KINDS.join(', ')} at SITE, nan@LAYER; the sites are ${sites.join(', ')}, the layers ${layers.join(', ')}`,
  );
}

const SLOW_MS = 300;

/**
 * Height and width of a tensor of 2⁴⁸ bytes, which no process can address: it is refused at once on every system, also
 * where memory is promised that is not there, and the kernel then ends a process that wants it.
 */
const TOO_LARGE = 2 ** 23;

/** MiB that the heap of a tower has with `heap`: it is soon full, and the machine is not. */
export const HEAP_FAULT_MB = 128;

/** Does to this thread what the fault says, if it says it of that phase and step. */
export function strike({ tower }: Fault, phase: FaultPhase, step: number): void {
  if (!tower || tower.phase !== phase || tower.step !== step) return;
  const acts: Record<typeof tower.kind, () => void> = {
    throw: () => {
      throw new Error('a fault that was asked for');
    },
    exit: () => process.exit(7),
    hang: () => stall(),
    // Standard input, on which nothing comes.
    stuck: () => {
      for (;;) readSync(0, new Uint8Array(1));
    },
    slow: () => stall(SLOW_MS),
    memory: () => void tf.fill([TOO_LARGE, TOO_LARGE], 1),
    heap: () => {
      for (const held: number[][] = []; ; ) held.push(Array(100_000).fill(held.length + 0.5));
    },
  };
  acts[tower.kind]();
}

function isOneOf<const T extends readonly string[]>(names: T, name: string | undefined): name is T[number] {
  return names.includes(name as string);
}
