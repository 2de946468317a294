/**
 * Reference files: values that another implementation computed in float64, of a net whose every tensor is rebuilt here
 * from a hash. Format: `docs/numerics.md`.
 */
import { z } from 'zod';
import type { Config } from '../config/config.js';
import { createSlot, slotViews } from '../data/index.js';
import { DataError } from '../errors.js';
import { buildNet, type NetOptions, type Parameter, parametersOf, volume } from '../model/net.js';
import { TABLES } from '../model/tables.js';
import { readJson } from '../read-json.js';
import { type Allowed, allowedFor, EXACT } from './golden-tolerances.js';
import { openTeam, type Team } from './team.js';
import { refuseFallback } from './verify.js';

/** Ours have fifty thousand. */
const MAX_BYTES = 2 ** 24;

const statistics = z.object({ l2: z.number(), at: z.record(z.string().regex(/^\d+$/), z.number()) });
const named = z.record(z.string(), statistics);

const FILE = z.object({
  net: z.enum(['original', 'paper', 'd2l', 'tutorial']),
  seed: z.number().int().min(0).max(4_000_000),
  batch: z.number().int().min(1).max(4096),
  classes: z.number().int().min(2).max(65_536),
  dropout: z.literal(0),
  labels: z.array(z.number().int().min(0)).optional(),
  optimizer: z.object({ lr: z.number(), bias_lr_factor: z.number(), bias_decay: z.number() }),
  parameters: named,
  steps: z
    .array(z.object({ loss: z.number(), logits: statistics.optional(), layers: named, gradients: named }))
    .min(1)
    .max(100),
  after: named,
});

type File = z.infer<typeof FILE>;
type Statistics = z.infer<typeof statistics>;

/** How far one side is from the file: the worst relative difference of one kind of value, and where. */
export interface GoldenRow {
  side: 'towers' | 'reference';
  kind: string;
  worst: number;
  name: string;
  tolerance: number;
}

export interface GoldenResult {
  passed: boolean;
  rows: readonly GoldenRow[];
}

/** The files' rule: v = 0.9 v − 0.0005·lr·w − lr·g. */
const RULE = { momentum: 0.9, weightDecay: 0.0005 } as const;

/**
 * Runs a reference file through the towers and through the reference.
 * @throws DataError for a file that is none; ConfigError, NativeError for devices.
 */
export async function verifyGolden(
  path: string,
  config: Pick<Config, 'devices' | 'exchange' | 'exchangeTimeoutMs' | 'compile' | 'convolutions'>,
): Promise<GoldenResult> {
  const file = readGolden(path);
  const towers = await runSide('towers', file, config);
  const reference = await runSide('reference', file, config);
  const rows = [...towers, ...reference];
  return { passed: rows.every(({ worst, tolerance }) => worst <= tolerance), rows };
}

function readGolden(path: string): File {
  const fail = (found: string): never => {
    throw new DataError(`Cannot use the reference file ${path}: ${found}; docs/numerics.md tells what such a file is`);
  };
  let json: unknown;
  try {
    json = readJson(path, { limit: MAX_BYTES });
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException;
    return fail(code === 'ENOENT' ? 'it is not there' : message);
  }
  const parsed = FILE.safeParse(json);
  if (parsed.success) return parsed.data;
  const issue = parsed.error.issues[0]!;
  return fail(`${issue.path.join('.') || 'the whole'} is wrong (${issue.message})`);
}

async function runSide(
  side: GoldenRow['side'],
  file: File,
  {
    devices,
    exchange,
    exchangeTimeoutMs,
    compile,
    convolutions,
  }: Pick<Config, 'devices' | 'exchange' | 'exchangeTimeoutMs' | 'compile' | 'convolutions'>,
): Promise<GoldenRow[]> {
  const net = netOf(file);
  const slot = slotOf(file, net);
  const team = await openTeam(
    {
      placement: side === 'towers' ? 'split' : 'single',
      ops: side === 'towers' ? 'native' : 'tfjs',
      ...{ devices, exchange, exchangeTimeoutMs, compile, convolutions },
      ...{ net, seed: 0, batchSize: file.batch },
      optimizer: {
        ...RULE,
        learningRate: file.optimizer.lr,
        biasRateFactor: file.optimizer.bias_lr_factor,
        biasDecay: file.optimizer.bias_decay,
        schedule: { kind: 'constant' },
      },
    },
    [slot],
  );
  await refuseFallback(team);
  try {
    const allowed = allowedFor({ devices, exchange, compile, convolutions }, net, file.batch);
    const rows = new Rows(side, side === 'towers' ? allowed : EXACT);
    await putParameters(team, file, net, rows);
    for (const [i, expected] of file.steps.entries()) {
      const replies = await team.ask({
        ...{ kind: 'step', slot: 0, count: file.batch, step: i + 1, epoch: 1, update: true, keep: true },
        learningRate: file.optimizer.lr,
      });
      const loss = replies.find((each) => each.loss !== undefined)?.loss ?? Number.NaN;
      rows.add('loss', rows.allowed.loss, `step ${i + 1}`, relative(loss, expected.loss));
      // Rounding grows with the steps; the norms are compared where one pass lies behind them, the losses after each.
      if (i > 0) continue;
      await compareAll(team, 'activation', expected.layers, 'layer', rows);
      await compareAll(team, 'gradient', expected.gradients, 'gradient', rows);
    }
    await compareAll(team, 'parameter', file.after, 'parameter after', rows);
    return rows.rows;
  } finally {
    await team.close();
  }
}

/** The worst of each kind. */
class Rows {
  readonly rows: GoldenRow[] = [];
  constructor(
    readonly side: GoldenRow['side'],
    readonly allowed: Allowed,
  ) {}

  add(kind: string, tolerance: number, name: string, worst: number): void {
    const row = this.rows.find((each) => each.kind === kind);
    if (!row) this.rows.push({ side: this.side, kind, worst, name, tolerance });
    else if (!(worst <= row.worst)) Object.assign(row, { worst, name });
  }
}

async function compareAll(
  team: Team,
  what: 'activation' | 'gradient' | 'parameter',
  expected: Record<string, Statistics>,
  kind: string,
  rows: Rows,
): Promise<void> {
  const lists = await team.ask({ kind: 'list' });
  const allowed = what === 'gradient' ? rows.allowed.gradient : rows.allowed;
  for (const [name, { l2, at }] of Object.entries(expected)) {
    const tower = lists.findIndex((list) => list.some((each) => each.kind === what && each.name === name));
    if (tower < 0) throw new DataError(`Cannot compare ${name}: the net has no such ${what}; check the reference file`);
    const { shape } = lists[tower]!.find((each) => each.kind === what && each.name === name)!;
    const memory = new SharedArrayBuffer(4 * volume(shape));
    await team.towers[tower]!.ask({ kind: 'fetch', what, name }, memory);
    const values = new Float32Array(memory);
    rows.add(`${kind} norms`, allowed.norm, name, relative(norm(values), l2));
    // A norm does not see values in the wrong places; a few single ones do, measured by the tensor's usual size.
    const usual = l2 / Math.sqrt(values.length);
    for (const [position, value] of Object.entries(at)) {
      const distance = Math.abs(values[Number(position)]! - value) / usual;
      rows.add(`${kind} elements`, allowed.element, `${name}[${position}]`, distance);
    }
  }
}

function netOf({ net, classes }: File): NetOptions {
  const table = net === 'd2l' ? 'tutorial' : net;
  const { inputSize, inputChannels } = TABLES[table];
  return { table, width: 1, inputSize, inputChannels, classes, init: 'table', dropout: false };
}

async function putParameters(team: Team, file: File, net: NetOptions, rows: Rows): Promise<void> {
  const parameters = parametersOf(buildNet(net));
  const names = Object.keys(file.parameters);
  const missing = parameters.find(({ name }) => !names.includes(name));
  if (missing || names.length !== parameters.length) {
    throw new DataError(
      `Cannot use the reference file: it has ${names.length} parameters, expected the ${parameters.length} of the net ${net.table}${missing ? `, ${missing.name} among them` : ''}`,
    );
  }
  for (const parameter of parameters) {
    const memory = new SharedArrayBuffer(4 * volume(parameter.shape));
    const values = new Float32Array(memory);
    fillParameter(values, parameter, file.seed * 1000 + names.indexOf(parameter.name), file.net);
    const expected = file.parameters[parameter.name]!;
    rows.add('parameter before norms', rows.allowed.norm, parameter.name, relative(norm(values), expected.l2));
    const owners = team.towers.filter(({ setup: { part } }) => part === 'whole' || part === parameter.tower);
    for (const owner of owners) await owner.ask({ kind: 'put', name: parameter.name }, memory);
  }
}

/** Deviations of the files' parameters by layer, conv1 to fc8, and the constants of their biases. */
const DEVIATIONS = {
  original: [0.01, 0.01, 0.03, 0.03, 0.03, 0.01, 0.01, 0.01],
  paper: [0.01, 0.01, 0.01, 0.01, 0.01, 0.01, 0.01, 0.01],
  d2l: [0.05, 0.02, 0.02, 0.017, 0.017, 0.0125, 0.015, 0.015],
} as const;
const BIASES = { original: [0, 1, 0, 1, 1, 1, 1, 0], paper: [0, 1, 0, 1, 1, 1, 1, 0], d2l: [0, 0, 0, 0, 0, 0, 0, 0] };
const LAYERS = ['conv1', 'conv2', 'conv3', 'conv4', 'conv5', 'fc6', 'fc7', 'fc8'];

function fillParameter(values: Float32Array, { layer, role }: Parameter, seed: number, net: File['net']): void {
  const kind = net === 'tutorial' ? 'd2l' : net;
  const i = LAYERS.indexOf(layer);
  if (role === 'kernel') {
    fill(values, seed, spread(DEVIATIONS[kind][i]! * Math.sqrt(3)));
    return;
  }
  const around = spread(0.05);
  fill(values, seed, (unit) => BIASES[kind][i]! + Math.fround(around(unit)));
}

/** Uniform in ±`limit`, of a number from 0 to 1. */
function spread(limit: number): (unit: number) => number {
  return (unit) => (2 * unit - 1) * limit;
}

function slotOf(file: File, { inputSize, inputChannels }: NetOptions): SharedArrayBuffer {
  const slot = createSlot(file.batch, inputSize, inputChannels);
  const { images, labels } = slotViews(slot, file.batch, inputSize, inputChannels);
  const isUnit = file.net === 'd2l' || file.net === 'tutorial';
  fill(images, file.seed * 1000 + 900, isUnit ? (unit) => unit : spread(120));
  fill(labels, file.seed * 1000 + 901, (unit) => Math.floor(unit * file.classes));
  if (file.labels && String(file.labels) !== String([...labels])) {
    throw new DataError('Cannot use the reference file: its labels are not those of its seed; make it again');
  }
  return slot;
}

/** The files' generator: an integer hash of the position, as a number from 0 to below 1. */
function fill(values: Float32Array | Int32Array, seed: number, map: (unit: number) => number): void {
  const offset = Math.imul(seed, 0x9e3779b9);
  for (let i = 0; i < values.length; i++) {
    let x = (i + offset) | 0;
    x ^= x >>> 16;
    x = Math.imul(x, 0x85ebca6b);
    x ^= x >>> 13;
    x = Math.imul(x, 0xc2b2ae35);
    x ^= x >>> 16;
    values[i] = map((x >>> 0) / 2 ** 32);
  }
}

function relative(value: number, expected: number): number {
  return value === expected ? 0 : Math.abs(value - expected) / Math.abs(expected);
}

function norm(values: Float32Array): number {
  let sum = 0;
  // Sixty million values: an iterator takes ten times as long.
  for (let i = 0; i < values.length; i++) sum += values[i]! ** 2;
  return Math.sqrt(sum);
}
