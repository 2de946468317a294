/** What NVIDIA's driver says of its cards, by its own program `nvidia-smi`. Nothing is loaded. */
import { spawn, spawnSync } from 'node:child_process';
import { createInterface } from 'node:readline';
import { ConfigError, cut, SetupError } from '../../errors.js';

/** A card, in the driver's order; CUDA's may be another, see `CUDA_DEVICE_ORDER`. What it does not tell is absent. */
export interface Card {
  index: number;
  name: string;
  driver: string;
  /** `8.6`. */
  computeCapability?: string;
  memoryMiB?: number;
  freeMiB?: number;
}

const FIELDS = ['index', 'name', 'driver_version', 'memory.total', 'memory.free'];
/** Older drivers refuse the whole question for a field that they do not know. */
const NEWER_FIELDS = ['compute_cap'];
/** It wakes cards that sleep, which takes seconds. */
const ANSWER_MS = 20_000;

/**
 * Every card that the driver has; undefined where there is no `nvidia-smi`, or it fails.
 * @param which a card alone, by its number or its UUID.
 */
export function listCards(which?: string): Card[] | undefined {
  for (const fields of [[...FIELDS, ...NEWER_FIELDS], FIELDS]) {
    const told = ask([
      `--query-gpu=${fields.join(',')}`,
      '--format=csv,noheader,nounits',
      ...(which ? [`--id=${which}`] : []),
    ]);
    if (told !== undefined) return told.split('\n').filter(Boolean).map(cardOf);
  }
  return undefined;
}

/** How the cards are joined, as `nvidia-smi topo` draws it: by NVLink, by a bridge, or by the processor. */
export function cardTopology(): string | undefined {
  return ask(['topo', '-m']);
}

/** A card's memory over some time, in MiB: all that is in use, CUDA's contexts and other programs' too. */
export interface MemoryPeak {
  index: number;
  beforeMiB: number;
  peakMiB: number;
}

const SAMPLE_MS = 200;
const FIRST_MS = 10_000;

/**
 * Watches how much of each card's memory is in use, five times a second, from when this resolves until the returned
 * function is called. Undefined where `nvidia-smi` is not there, or tells nothing in ten seconds.
 */
export async function watchMemory(): Promise<(() => MemoryPeak[]) | undefined> {
  const fields = ['index', 'memory.total', 'memory.free'];
  const args = [`--query-gpu=${fields}`, '--format=csv,noheader,nounits', `--loop-ms=${SAMPLE_MS}`];
  const watching = spawn('nvidia-smi', args, { stdio: ['ignore', 'pipe', 'ignore'] });
  const peaks = new Map<number, MemoryPeak>();
  await new Promise<void>((resolve) => {
    const timer = setTimeout(resolve, FIRST_MS);
    const begun = () => {
      clearTimeout(timer);
      resolve();
    };
    watching.once('error', begun).once('close', begun);
    createInterface(watching.stdout).on('line', (line) => {
      const [index, total, free] = line.split(',').map((each) => (each.trim() === '' ? Number.NaN : Number(each)));
      const usedMiB = total! - free!;
      if (Number.isNaN(usedMiB)) return;
      const before = peaks.get(index!);
      peaks.set(index!, {
        index: index!,
        beforeMiB: before?.beforeMiB ?? usedMiB,
        peakMiB: Math.max(before?.peakMiB ?? 0, usedMiB),
      });
      begun();
    });
  });
  const stop = () => {
    watching.kill('SIGKILL');
    return [...peaks.values()];
  };
  if (peaks.size > 0) return stop;
  stop();
  return undefined;
}

function ask(args: readonly string[]): string | undefined {
  const { status, stdout } = spawnSync('nvidia-smi', args, { encoding: 'utf8', timeout: ANSWER_MS });
  return status === 0 ? stdout : undefined;
}

function cardOf(line: string): Card {
  const [index = '', name = '', driver = '', total, free, capability] = line.split(',').map((each) => each.trim());
  const [memoryMiB, freeMiB] = [total, free].map((each) => (/^\d+$/.test(each ?? '') ? Number(each) : undefined));
  return {
    ...{ index: Number(index), name, driver },
    ...(capability && /^\d/.test(capability) && { computeCapability: capability }),
    ...(memoryMiB !== undefined && { memoryMiB }),
    ...(freeMiB !== undefined && { freeMiB }),
  };
}

/** Of the memory that is free each half gets so much; the rest is for CUDA's contexts and cuDNN beside TensorFlow's own. */
const SHARE = 0.45;
/** Below it not even a narrow net has room. */
const LEAST_MIB = 256;
const MIB_VARIABLE = 'ALEXNET_SPLIT_LOGICAL_MIB';

/**
 * Memory for each of a card's two logical devices, in MiB: what `ALEXNET_SPLIT_LOGICAL_MIB` says, or 45 % of what is free.
 * @param card as CUDA numbers them, among those that `CUDA_VISIBLE_DEVICES` leaves.
 * @throws ConfigError for a variable that is no size; SetupError when the driver does not tell, or too little is free.
 */
export function logicalMiB(card: number, env: NodeJS.ProcessEnv = process.env): number {
  const asked = env[MIB_VARIABLE];
  if (asked) return sizeOf(asked);
  const visible = env.CUDA_VISIBLE_DEVICES?.split(',').map((each) => each.trim());
  const free = listCards(visible?.[card] ?? String(card))?.[0]?.freeMiB;
  if (free === undefined) {
    throw new SetupError(
      `Cannot split GPU:${card}: nvidia-smi does not tell how much of its memory is free; say with ${MIB_VARIABLE} how many MiB each half is to have`,
    );
  }
  const mib = Math.floor(free * SHARE);
  if (mib >= LEAST_MIB) return mib;
  throw new SetupError(
    `Cannot split GPU:${card}: ${free} MiB of its memory are free, expected at least ${Math.ceil(LEAST_MIB / SHARE)}; end what else uses the card`,
  );
}

function sizeOf(text: string): number {
  if (/^[1-9]\d{0,6}$/.test(text)) return Number(text);
  throw new ConfigError(`${MIB_VARIABLE} is ${cut(JSON.stringify(text))}, expected a whole number of MiB above 0`);
}
