/** What NVIDIA's driver says of its cards, by its own program `nvidia-smi`. Nothing is loaded. */
import { spawn, spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { ConfigError, SetupError, truncate } from '../../errors.js';

/** A card as the system knows it; what could not be found out is absent. */
export interface Card {
  /** `NVIDIA H100 80GB HBM3`, or where it is on the PCI bus. */
  name: string;
  /** `9.0` */
  computeCapability?: string;
  memoryMiB?: number;
}

/** A card as the driver numbers it; CUDA's order may be another, see `CUDA_DEVICE_ORDER`. */
export interface DriverCard extends Card {
  index: number;
  driver: string;
  freeMiB?: number;
}

/** Where Windows' subsystem for Linux has the driver. */
export const WSL_FOLDER = 'usr/lib/wsl/lib';
/** The complaint where there is no nvidia-smi. */
export const SMI_ABSENT = 'it is not installed';
/** It wakes cards that sleep, which takes seconds. */
const SMI_TIMEOUT_MS = 30_000;
/** Drivers before 510 do not know it, and refuse the whole question. */
const CAPABILITY = 'compute_cap';

type Rows = { rows: Record<string, string>[] };

/**
 * nvidia-smi's answer, a row a card, by field, and the compute capability where the driver knows it; or what it says instead.
 * @param root where the system's files are, for tests.
 * @param which a card alone, by its number or its UUID.
 */
export function querySmi(
  fields: readonly string[],
  { root = '/', which }: { root?: string; which?: string | undefined } = {},
): Rows | { complaint: string } {
  const all = query(root, [...fields, CAPABILITY], which);
  return 'complaint' in all ? query(root, fields, which) : all;
}

function query(root: string, fields: readonly string[], which?: string): Rows | { complaint: string } {
  const format = ['--format=csv,noheader,nounits', ...(which === undefined ? [] : [`--id=${which}`])];
  const args = [`--query-gpu=${fields.join(',')}`, ...format];
  for (const command of ['nvidia-smi', join(root, WSL_FOLDER, 'nvidia-smi')]) {
    const { error, status, stdout, stderr } = patientSync(command, args);
    const { code } = (error ?? {}) as NodeJS.ErrnoException;
    if (code === 'ENOENT') continue;
    if (code === 'ETIMEDOUT') return { complaint: `no answer within ${SMI_TIMEOUT_MS / 1000} s` };
    const lines = stdout.split('\n').filter((line) => line.trim() !== '');
    if (status !== 0) {
      const [said] = [...lines, ...stderr.split('\n')].filter((line) => line.trim() !== '');
      return { complaint: said?.trim() ?? `ended with ${status ?? error?.message}` };
    }
    // A card's name has no comma.
    const rows = lines.map((line) => {
      const values = line.split(',').map((value) => value.trim());
      return Object.fromEntries(fields.map((field, i) => [field, values[i] ?? '']));
    });
    return { rows };
  }
  return { complaint: SMI_ABSENT };
}

/** Runs a program, {@link SMI_TIMEOUT_MS} at most; once more where that passed while this process did not run. */
function patientSync(command: string, args: readonly string[]) {
  const run = () => spawnSync(command, args, { encoding: 'utf8', timeout: SMI_TIMEOUT_MS });
  const started = performance.now();
  const ended = run();
  const isLate = (ended.error as NodeJS.ErrnoException | undefined)?.code === 'ETIMEDOUT';
  return isLate && performance.now() - started > 2 * SMI_TIMEOUT_MS ? run() : ended;
}

/** A card out of a row of {@link querySmi}. */
export function cardOf({ name, [CAPABILITY]: capability = '', 'memory.total': memory }: Record<string, string>): Card {
  return {
    name: name || 'NVIDIA device',
    ...(/^\d+\.\d+$/.test(capability) && { computeCapability: capability }),
    ...(Number(memory) > 0 && { memoryMiB: Number(memory) }),
  };
}

/**
 * Every card that the driver has; undefined where there is no `nvidia-smi`, or it fails.
 * @param which a card alone, by its number or its UUID.
 */
export function listCards(which?: string): DriverCard[] | undefined {
  const found = querySmi(['index', 'name', 'driver_version', 'memory.total', 'memory.free'], { which });
  if ('complaint' in found) return undefined;
  return found.rows.map((row) => {
    const free = row['memory.free'];
    return {
      ...{ index: Number(row.index), driver: row.driver_version ?? '', ...cardOf(row) },
      ...(/^\d+$/.test(free ?? '') && { freeMiB: Number(free) }),
    };
  });
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
  const { status, stdout } = patientSync('nvidia-smi', args);
  return status === 0 ? stdout : undefined;
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
  throw new ConfigError(`${MIB_VARIABLE} is ${truncate(JSON.stringify(text))}, expected a whole number of MiB above 0`);
}
