/** What `nvidia-smi`, the program of NVIDIA's driver, says about the cards. Loads nothing. */
import { spawn, spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { ConfigError, SetupError, truncate } from '../../errors.js';

/** What is unknown is absent. */
export interface Card {
  /** `NVIDIA H100 80GB HBM3`, or its place on the PCI bus. */
  name: string;
  /** `9.0` */
  computeCapability?: string;
  memoryMiB?: number;
}

/** A card with the driver's number; CUDA may have another order, see `CUDA_DEVICE_ORDER`. */
export interface DriverCard extends Card {
  index: number;
  driver: string;
  freeMiB?: number;
}

/** The driver's folder in the Windows Subsystem for Linux. */
export const WSL_FOLDER = 'usr/lib/wsl/lib';
/** The complaint if there is no nvidia-smi. */
export const SMI_ABSENT = 'it is not installed';
/** It wakes sleeping cards, which takes seconds. */
const SMI_TIMEOUT_MS = 30_000;
/** Drivers before 510 do not know the last field, and refuse the whole query. */
const FIELDS = ['index', 'name', 'driver_version', 'memory.total', 'memory.free', 'compute_cap'];
const FORMAT = '--format=csv,noheader,nounits';

type Answer = { cards: DriverCard[] } | { complaint: string };

/** The cards that nvidia-smi lists, or what it says if it fails. @param which only this card, by number or UUID. */
export function querySmi({ root = '/', which }: { root?: string; which?: string | undefined } = {}): Answer {
  const answer = query(root, FIELDS, which);
  return 'complaint' in answer ? query(root, FIELDS.slice(0, -1), which) : answer;
}

function query(root: string, fields: readonly string[], which?: string): Answer {
  const args = [`--query-gpu=${fields}`, FORMAT, ...(which === undefined ? [] : [`--id=${which}`])];
  for (const command of ['nvidia-smi', join(root, WSL_FOLDER, 'nvidia-smi')]) {
    const { error, status, stdout, stderr } = runSmi(command, args);
    const { code } = (error ?? {}) as NodeJS.ErrnoException;
    if (code === 'ENOENT') continue;
    if (code === 'ETIMEDOUT') return { complaint: `no answer within ${SMI_TIMEOUT_MS / 1000} s` };
    const [lines, errors] = [stdout, stderr].map((text) => text.split('\n').filter((line) => line.trim() !== ''));
    if (status === 0) return { cards: lines!.map(cardOf) };
    return { complaint: [...lines!, ...errors!][0]?.trim() ?? `ended with ${status ?? error?.message}` };
  }
  return { complaint: SMI_ABSENT };
}

/** The card of a line with the {@link FIELDS}; a card's name has no comma. */
function cardOf(line: string): DriverCard {
  const [index, name, driver = '', total, free = '', capability = ''] = line.split(',').map((value) => value.trim());
  return {
    ...{ index: Number(index), name: name || 'NVIDIA device', driver },
    ...(/^\d+\.\d+$/.test(capability) && { computeCapability: capability }),
    ...(Number(total) > 0 && { memoryMiB: Number(total) }),
    ...(/^\d+$/.test(free) && { freeMiB: Number(free) }),
  };
}

/** Runs nvidia-smi; once more if the time-out passed only because this process was suspended. */
function runSmi(command: string, args: readonly string[]) {
  const run = () => spawnSync(command, args, { encoding: 'utf8', timeout: SMI_TIMEOUT_MS });
  const started = performance.now();
  const ended = run();
  const isLate = (ended.error as NodeJS.ErrnoException | undefined)?.code === 'ETIMEDOUT';
  return isLate && performance.now() - started > 2 * SMI_TIMEOUT_MS ? run() : ended;
}

/** Every card of the driver; undefined if there is no `nvidia-smi`, or it fails. @param which only this card. */
export function listCards(which?: string): DriverCard[] | undefined {
  const answer = querySmi({ which });
  return 'cards' in answer ? answer.cards : undefined;
}

/** How the cards are connected, as `nvidia-smi topo` draws it: by NVLink, by a bridge, or by the processor. */
export function cardTopology(): string | undefined {
  const { status, stdout } = runSmi('nvidia-smi', ['topo', '-m']);
  return status === 0 ? stdout : undefined;
}

/** How much of a card's memory was in use, in MiB, by CUDA's contexts and other programs too. */
export interface MemoryPeak {
  index: number;
  beforeMiB: number;
  peakMiB: number;
}

const SAMPLE_MS = 200;
const FIRST_SAMPLE_TIMEOUT_MS = 10_000;

/**
 * Samples how much of each card's memory is in use, five times a second, from when this resolves until the returned
 * function is called. Undefined without `nvidia-smi`, or if it gives no sample within ten seconds.
 */
export async function monitorMemory(): Promise<(() => MemoryPeak[]) | undefined> {
  const args = ['--query-gpu=index,memory.total,memory.free', FORMAT, `--loop-ms=${SAMPLE_MS}`];
  const smi = spawn('nvidia-smi', args, { stdio: ['ignore', 'pipe', 'ignore'] });
  const peaks = new Map<number, MemoryPeak>();
  await new Promise<void>((resolve) => {
    const timer = setTimeout(resolve, FIRST_SAMPLE_TIMEOUT_MS);
    const done = () => {
      clearTimeout(timer);
      resolve();
    };
    smi.once('error', done).once('close', done);
    createInterface(smi.stdout).on('line', (line) => {
      const [index, total, free] = line.split(',').map((each) => (each.trim() === '' ? Number.NaN : Number(each)));
      const usedMiB = total! - free!;
      if (Number.isNaN(usedMiB)) return;
      const { beforeMiB, peakMiB } = peaks.get(index!) ?? { beforeMiB: usedMiB, peakMiB: 0 };
      peaks.set(index!, { index: index!, beforeMiB, peakMiB: Math.max(peakMiB, usedMiB) });
      done();
    });
  });
  const stop = () => {
    smi.kill('SIGKILL');
    return [...peaks.values()];
  };
  if (peaks.size > 0) return stop;
  stop();
  return undefined;
}

/** Each half's share of the free memory; the rest is for CUDA's contexts and cuDNN, besides TensorFlow's own memory. */
const SHARE = 0.45;
/** Even a narrow net does not fit into less. */
const MIN_MIB = 256;
const MIB_VARIABLE = 'ALEXNET_SPLIT_LOGICAL_MIB';

/**
 * Memory for each of a card's two logical devices, in MiB: `ALEXNET_SPLIT_LOGICAL_MIB`, or 45 % of the free memory.
 * @param card CUDA's number, among the cards that `CUDA_VISIBLE_DEVICES` leaves.
 * @throws ConfigError if the variable is not a size; SetupError if the free memory is unknown or too small.
 */
export function logicalMiB(card: number, env: NodeJS.ProcessEnv = process.env): number {
  const asked = env[MIB_VARIABLE];
  if (asked) {
    if (/^[1-9]\d{0,6}$/.test(asked)) return Number(asked);
    const found = truncate(JSON.stringify(asked));
    throw new ConfigError(`${MIB_VARIABLE} is ${found}, expected a whole number of MiB above 0`);
  }
  const visible = env.CUDA_VISIBLE_DEVICES?.split(',').map((each) => each.trim());
  const free = listCards(visible?.[card] ?? `${card}`)?.[0]?.freeMiB;
  if (free === undefined) {
    throw new SetupError(
      `Cannot split GPU:${card}: nvidia-smi does not say how much of its memory is free; set ${MIB_VARIABLE} to the MiB for each half`,
    );
  }
  const mib = Math.floor(free * SHARE);
  if (mib >= MIN_MIB) return mib;
  throw new SetupError(
    `Cannot split GPU:${card}: ${free} MiB of its memory are free, expected at least ${Math.ceil(MIN_MIB / SHARE)}; end other programs that use the card`,
  );
}
