/** `doctor`: what a report of a fault needs to say, and what is wrong with the machine. */
import { availableParallelism, freemem, release, totalmem } from 'node:os';
import { basename, dirname } from 'node:path';
import { packageVersion } from '../config/version.js';
import { SplitError } from '../errors.js';
import { oneLine, table } from './format.js';
import type { Examined, Services } from './services.js';

/** What was found: rows of a report, and what is to be done. */
interface Report {
  rows: Record<string, string>;
  problems: string[];
}

/** @returns 1 when there is a problem, which it names with what to do; 0 when there is none. */
export async function doctorCommand({ json }: { json?: boolean }, services: Services): Promise<number> {
  const { rows, problems } = await examine(services);
  const lines = json
    ? [JSON.stringify({ ...rows, problems })]
    : [
        ...table(['what', 'found'], Object.entries(rows)),
        ...problems.map((problem) => `problem: ${problem}`),
        ...(problems.length === 0 ? ['no problem found'] : []),
      ];
  for (const line of lines) services.stdout.write(`${line}\n`);
  return problems.length === 0 ? 0 : 1;
}

async function examine(services: Services): Promise<Report> {
  const rows: Record<string, string> = {
    'alexnet-split': packageVersion(),
    'Node.js': process.versions.node,
    system: `${process.platform} ${process.arch}, ${release()}`,
    processors: String(availableParallelism()),
    memory: `${gibibytes(totalmem())}, ${gibibytes(freemem())} of it free`,
  };
  const problems: string[] = [];
  const examined = await orProblem(() => services.examineLibrary(), problems);
  if (!examined) return { rows, problems };
  const { library, nvidia } = examined;
  rows['NVIDIA device'] = nvidia ? 'yes' : 'none';
  rows.library = library ? `${library.tensorflow} (${library.flavour}, from ${library.source})` : 'none';
  if (!library) {
    problems.push('there is no TensorFlow library; `alexnet-split setup` fetches it, or point TENSORFLOW_DIR at one');
    return { rows, problems };
  }
  rows.CUDA = cudaOf(examined);
  const devices = await orProblem(() => services.listDevices(), problems);
  if (!devices) return { rows, problems };
  rows.devices = devices
    .map(({ name, memoryBytes }) => (name.startsWith('GPU') ? `${name} (${gibibytes(memoryBytes)})` : name))
    .join(', ');
  if (nvidia && !devices.some(({ name }) => name.startsWith('GPU'))) problems.push(noGpu(examined));
  return { rows, problems };
}

function cudaOf({ cuda }: Examined): string {
  const folders = [...new Set(cuda.map((file) => dirname(dirname(dirname(file)))))];
  return cuda.length === 0
    ? 'none beside the library'
    : `${cuda.map((file) => basename(file)).join(', ')} in ${folders}`;
}

/** Why TensorFlow may not see a GPU that is there. */
function noGpu({ library, cuda }: Examined): string {
  const found = 'there is an NVIDIA device, and TensorFlow has no GPU';
  if (library?.flavour === 'cpu')
    return `${found}: its library is the one for CPUs; \`alexnet-split setup\` fetches the other`;
  if (cuda.length === 0) {
    return `${found}: there are no CUDA libraries beside its own; \`alexnet-split setup\` fetches them, or put CUDA's on LD_LIBRARY_PATH`;
  }
  return `${found}; see whether nvidia-smi lists the GPU, and whether its driver is new enough for these CUDA libraries`;
}

/** What `look` finds; a sentence that it throws is a problem. */
async function orProblem<T>(look: () => Promise<T>, problems: string[]): Promise<T | undefined> {
  try {
    return await look();
  } catch (error) {
    if (!(error instanceof SplitError)) throw error;
    problems.push(oneLine(error.message));
    return undefined;
  }
}

function gibibytes(bytes: number): string {
  return `${(bytes / 2 ** 30).toFixed(1)} GiB`;
}
