/** `doctor`: prints what a bug report needs, and what is wrong with the machine. */
import { availableParallelism, release, totalmem } from 'node:os';
import { basename, dirname } from 'node:path';
import { packageVersion } from '../config/version.js';
import { SplitError, truncate } from '../errors.js';
import { coreLimit, usableMemory } from '../limits.js';
import { tensorflowVariables } from '../native/install/environment.js';
import {
  cardVerdict,
  cudnnName,
  cudnnRange,
  type GpuFacts,
  gpuTrouble,
  OLDEST_DRIVER,
} from '../native/install/gpu-support.js';
import { oneLine, table } from './format.js';
import { LOADING } from './machine.js';
import type { Input, Services } from './services.js';
import { announce } from './silence.js';

/** @returns 1 if there is a problem, else 0. */
export async function run({ options }: Input<{ json?: boolean }>, services: Services): Promise<number> {
  const problems: string[] = [];
  const rows = await examine(services, problems);
  const { stdout } = services;
  if (options.json) stdout.print(JSON.stringify({ ...rows, problems }));
  else {
    const last = problems.length === 0 ? ['no problem found'] : problems.map((problem) => `problem: ${problem}`);
    stdout.print(...table(['what', 'found'], Object.entries(rows)), ...last);
  }
  return problems.length === 0 ? 0 : 1;
}

/** @param problems gets sentences that say what is wrong and what to do. @returns the rows of the report. */
async function examine(services: Services, problems: string[]): Promise<Record<string, string>> {
  const [cores, limit] = [availableParallelism(), coreLimit()];
  const { total, free, isLimited } = usableMemory();
  const whole = isLimited ? ` (limit; the machine has ${gibibytes(totalmem())})` : '';
  const rows: Record<string, string> = {
    'alexnet-split': packageVersion(),
    'Node.js': process.versions.node,
    system: `${process.platform} ${process.arch}, ${release()}`,
    processors: limit === undefined ? `${cores}` : `${limit} (quota; the machine has ${cores})`,
    variables: variablesIn(services.env),
    memory: `${gibibytes(total)}${whole}, ${gibibytes(free)} free`,
  };
  const examined = await orProblem(() => services.examineLibrary(), problems);
  if (!examined) return rows;
  const { library, nvidia, hidden, cuda } = examined;
  const hiddenBy = `hidden by CUDA_VISIBLE_DEVICES, which is ${quoted(process.env.CUDA_VISIBLE_DEVICES)}`;
  rows['NVIDIA device'] = nvidia ? 'yes' : hidden ? hiddenBy : 'none';
  rows.library = library ? `${library.tensorflow} (${library.flavour}, from ${library.source})` : 'none';
  if (!library) {
    problems.push('there is no TensorFlow library; `alexnet-split setup` fetches it, or point TENSORFLOW_DIR at one');
    return rows;
  }
  const folders = new Set(cuda.map((file) => dirname(dirname(dirname(file)))));
  const files = `${cuda.map((file) => basename(file)).join(', ')} in ${[...folders]}`;
  rows.CUDA = cuda.length === 0 ? 'no CUDA libraries beside the TensorFlow library' : files;
  announce(services, LOADING);
  const devices = await orProblem(() => services.listDevices(), problems);
  const names = (devices ?? []).map(({ name }) => name);
  const facts = await services.examineGpus(names, true);
  if (facts && !nvidia && !hidden) {
    const hasDriver = facts.nvidia.driver !== undefined;
    rows['NVIDIA device'] = hasDriver ? 'a card, but no device file here' : 'a card without a driver';
  }
  if (facts) Object.assign(rows, gpuRows(facts));
  if (!devices) return rows;
  rows.devices = devices
    .map(({ name, memoryBytes }) => (name.startsWith('GPU') ? `${name} (${gibibytes(memoryBytes)})` : name))
    .join(', ');
  if (!facts) return rows;
  const trouble = gpuTrouble(facts);
  if (trouble !== undefined) problems.push(trouble);
  const gpus = names.filter((name) => name.startsWith('GPU')).slice(0, 2);
  rows.verdict =
    gpus.length === 0
      ? 'trains on the CPU, though there is an NVIDIA card'
      : `trains on ${gpus.join(' and ')}${trouble === undefined ? '' : ', with a problem'}`;
  return rows;
}

/** Call before TensorFlow is loaded, which removes some of them. */
function variablesIn(env: Services['env']): string {
  const set = Object.entries(tensorflowVariables(env)).map(([name, value]) => `${name}=${quoted(value)}`);
  return set.join(', ') || 'no variable of TensorFlow or CUDA is set';
}

function quoted(value = ''): string {
  return JSON.stringify(truncate(value));
}

/** The machine's cards, its driver and CUDA libraries. */
function gpuRows({ nvidia, driver, libraries, cudnn }: GpuFacts): Record<string, string> {
  const cards = nvidia.cards.length > 0 ? nvidia.cards : driver.cards;
  const rows = cards.map((card, i): [string, string] => {
    const memory = card.memoryMiB === undefined ? '' : `, ${card.memoryMiB} MiB`;
    // The driver knows the compute capability even if nvidia-smi does not.
    const known = { ...driver.cards.find(({ name }) => name === card.name), ...card };
    return [`card ${i}`, `${card.name}${memory}, ${cardVerdict(known, cudnn)}`];
  });
  const version =
    nvidia.driver ?? (driver.missing === undefined && driver.cards.length > 0 ? 'unknown version' : 'none');
  const broken = libraries.filter(({ error }) => error !== undefined);
  return {
    ...Object.fromEntries(rows),
    ...(nvidia.complaint !== undefined && { 'nvidia-smi': nvidia.complaint }),
    driver: `${version}${driver.cuda === undefined ? '' : `, runs CUDA up to ${driver.cuda}`}; ${OLDEST_DRIVER} or newer is needed`,
    cuDNN: cudnn === undefined ? 'none' : `${cudnnName(cudnn)}, ${cudnnRange(cudnn)}`,
    ...(libraries.length > 0 && {
      'CUDA libraries':
        broken.length === 0
          ? `TensorFlow can open all of ${libraries.map(({ name }) => name).join(', ')}`
          : broken.map(({ name, error }) => `${name} cannot be opened (${error})`).join(', '),
    }),
  };
}

/** Runs `action`. A SplitError that it throws is a problem. */
async function orProblem<T>(action: () => Promise<T>, problems: string[]): Promise<T | undefined> {
  try {
    return await action();
  } catch (error) {
    if (!(error instanceof SplitError)) throw error;
    problems.push(oneLine(error.message));
    return undefined;
  }
}

function gibibytes(bytes: number): string {
  return `${(bytes / 2 ** 30).toFixed(1)} GiB`;
}
