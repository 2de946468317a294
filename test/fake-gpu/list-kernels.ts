/**
 * Writes kernels.txt for a new version of TensorFlow: the kernels of its GPU build, except those that its CPU build in the
 * cache has for every device. The GPU build loads without a GPU and CUDA; only the wheel `tensorflow` is needed.
 *
 *   node dist/test/fake-gpu/list-kernels.js <folder of the GPU build's libraries> > test/fake-gpu/kernels.txt
 */
import { spawnSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { DataType } from '../../src/native/c/signatures.js';
import { TENSORFLOW_VERSION } from '../../src/native/install/wheels.js';
import { TYPE_NUMBERS } from './kernels.js';
import { type RegisteredOp, registeredKernels, registeredOps } from './registry.js';

const HEADER = `# The GPU kernels of TensorFlow ${TENSORFLOW_VERSION} (its build for CUDA, Linux x64) that its CPU build has not for every device: the
# op, the types that each attribute may have, and after an @ the arguments that lie in host memory. Left out: what has a
# label, what takes variants, functions or resources (but for two optimizers), sends and control flow.
# Made by list-kernels.ts.
`;

/** One or more similar kernels: types by attribute, sorted, and arguments in host memory. */
interface Row {
  op: string;
  types: Record<string, number[]>;
  host: string[];
}

const OPTIMIZERS = ['ResourceApplyGradientDescent', 'ResourceApplyKerasMomentum'];
const FLOAT = DataType.FLOAT;
const VARIANT = 21;
const REFERENCES = 100;
const NOT_PLAIN = [DataType.STRING, DataType.RESOURCE, VARIANT];
const INNER =
  /^_(?!Fused)|^XLA|^Xla|Send|Recv|Collective|Nccl|^(Merge|Switch|Enter|Exit|NextIteration|LoopCond|ControlTrigger|NoOp|Placeholder)/;

function rows(devices: readonly string[]): Row[] {
  const ops = registeredOps();
  return registeredKernels()
    .filter(({ op, device, label }) => label === '' && devices.includes(device) && ops.has(op))
    .map(({ op, types, host }) => ({
      op,
      types: Object.fromEntries([...types].sort().map(([attr, allowed]) => [attr, sorted(allowed)])),
      host: [...host].sort(),
    }))
    .filter((row) => isWanted(row, ops.get(row.op)!));
}

function isWanted({ op, types }: Row, { inputs, outputs, attrKinds }: RegisteredOp): boolean {
  if (OPTIMIZERS.includes(op)) return types.T?.includes(FLOAT) === true;
  const isOther = ({ type }: { type: number }) => type === DataType.RESOURCE || type === VARIANT || type > REFERENCES;
  if (INNER.test(op) || [...inputs, ...outputs].some(isOther)) return false;
  if (attrKinds.some((kind) => kind === 'func' || kind === 'list(func)')) return false;
  return !Object.values(types).some((allowed) => allowed.some((type) => NOT_PLAIN.includes(type as never)));
}

/** Merges rows that differ only in the types of one attribute, until there are none. */
function joined(all: readonly Row[]): Row[] {
  const result: Row[] = [];
  for (let row of all) {
    for (let at = alike(result, row); at >= 0; at = alike(result, row)) {
      const [other] = result.splice(at, 1);
      const both = Object.keys(row.types).map((attr) => [attr, sorted([...row.types[attr]!, ...other!.types[attr]!])]);
      row = { ...row, types: Object.fromEntries(both) };
    }
    result.push(row);
  }
  return result;
}

function alike(found: readonly Row[], row: Row): number {
  const attrs = Object.keys(row.types);
  return found.findIndex(({ op, types, host }) => {
    if (op !== row.op || `${host}` !== `${row.host}` || `${Object.keys(types)}` !== `${attrs}`) return false;
    return attrs.filter((attr) => `${types[attr]}` !== `${row.types[attr]}`).length <= 1;
  });
}

function sorted(types: Iterable<number>): number[] {
  return [...new Set(types)].sort((a, b) => a - b);
}

function lineOf({ op, types, host }: Row): string {
  const names = new Map(Object.entries(TYPE_NUMBERS).map(([name, type]) => [type, name]));
  const words = Object.entries(types).map(([attr, allowed]) => `${attr}=${allowed.map((each) => names.get(each))}`);
  return [op, ...words, ...(host.length > 0 ? [`@${host}`] : [])].join(' ');
}

/** A process has one library, so each build's rows come from a separate process. */
function rowsOf(folder: string, devices: string): Row[] {
  const args = [fileURLToPath(import.meta.url), '--rows', devices];
  const env = { ...process.env, TENSORFLOW_DIR: folder };
  const { stdout, status } = spawnSync(process.execPath, args, {
    env,
    maxBuffer: 2 ** 28,
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  if (status !== 0) throw new Error(`the kernels of ${folder || 'the CPU build'} cannot be read`);
  return JSON.parse(`${stdout}`);
}

const [first = '', devices = ''] = process.argv.slice(2);
if (first === '--rows') {
  process.stdout.write(JSON.stringify(rows(devices.split(','))));
} else {
  const everywhere = new Set(rowsOf('', 'DEFAULT').map((row) => JSON.stringify(row)));
  const wanted = rowsOf(first, 'GPU,DEFAULT').filter((row) => !everywhere.has(JSON.stringify(row)));
  process.stdout.write(`${HEADER}${joined(wanted).map(lineOf).sort().join('\n')}\n`);
}
