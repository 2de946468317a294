/**
 * Compares towers and reference with a file of reference values, which another implementation computed in float64. Every
 * tensor of the file's net is rebuilt here from a hash. `docs/numerics.md` describes the format.
 */
import { z } from 'zod';
import type { Config } from '../config/config.js';
import { gpusOf } from '../config/devices.js';
import { createSlot, floatLayout, slotViews } from '../data/index.js';
import { DataError } from '../errors.js';
import { buildNet, type NetOptions, type Parameter, parametersOf } from '../model/net.js';
import { TABLES } from '../model/tables.js';
import { savesByWinograd } from '../native/layers/winograd-tiling.js';
import { readJson } from '../read-json.js';
import type { Places } from './context-options.js';
import { fillBatch, fillParameter } from './golden-values.js';
import { type Batches, openTeam, type Team } from './team.js';
import { fetchTensor, putParameter, tensorMemory } from './tower-tensors.js';
import { refuseFallback } from './verify.js';

/** The files of this repository have fifty thousand. */
const MAX_BYTES = 2 ** 24;

const allowed = z.object({ norm: z.number().positive(), element: z.number().positive() });
const TOLERANCE = z.object({ loss: z.number().positive(), layers: allowed, gradients: allowed, after: allowed });

/** For files that do not say what float32 alone does to their net: the largest tolerances of this repository's files. */
export const DEFAULT_TOLERANCE: z.infer<typeof TOLERANCE> = {
  loss: 2.5e-4,
  layers: { norm: 1e-5, element: 2e-5 },
  gradients: { norm: 4.7e-3, element: 0.12 },
  after: { norm: 3.5e-4, element: 1.1e-2 },
};

/** What the towers' route adds to float32's own differences: a factor, and a summand. */
const ROUTES = {
  float32: { factor: 1, loss: 0, norm: 0, element: 0 },
  /**
   * Winograd's convolutions round by up to 4e-6; tolerances are measured with a perturbation of 1e-6. So four times as many
   * near ties may be decided the other way, and their random effects add up to twice as much.
   */
  winograd: { factor: 2, loss: 0, norm: 0, element: 0 },
  /** Messages of 11 bits flip more ReLUs than float32 does. */
  float16: { factor: 1, loss: 1e-2, norm: 0.1, element: 1 },
};
type Route = (typeof ROUTES)[keyof typeof ROUTES];

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
  tolerance: TOLERANCE.default(DEFAULT_TOLERANCE),
  parameters: named,
  steps: z
    .array(z.object({ loss: z.number(), logits: statistics.optional(), layers: named, gradients: named }))
    .min(1)
    .max(100),
  after: named,
});

type File = z.infer<typeof FILE>;

/** How far one side is from the file: the worst relative difference of one kind of value, and where it is. */
export interface GoldenRow {
  side: 'towers' | 'reference';
  kind: string;
  worst: number;
  name: string;
  tolerance: number;
}

export type GoldenResult = Awaited<ReturnType<typeof verifyGolden>>;

type RouteConfig = Places & Pick<Config, 'exchange' | 'exchangeTimeoutMs' | 'compile' | 'convolutions'>;

/**
 * Runs a reference file through the towers and through the reference.
 * @param sides what is compared. `convolutions` and `exchange` do not change the reference's values.
 * @throws DataError if the file cannot be used; ConfigError, NativeError for the devices.
 */
export async function verifyGolden(
  path: string,
  config: RouteConfig,
  sides: readonly GoldenRow['side'][] = ['towers', 'reference'],
) {
  const file = readGolden(path);
  const rows: GoldenRow[] = [];
  for (const side of sides) {
    rows.push(...(await runSide(side, file, config, side === 'towers' ? routeOf(config, file) : ROUTES.float32)));
  }
  return { passed: rows.every(({ worst, tolerance }) => worst <= tolerance), rows };
}

function readGolden(path: string): File {
  const fail = (found: string): never => {
    throw new DataError(`Cannot use the reference file ${path}: ${found}; docs/numerics.md describes the format`);
  };
  let json: unknown;
  try {
    json = readJson(path, { limit: MAX_BYTES });
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException;
    return fail(code === 'ENOENT' ? 'it does not exist' : message);
  }
  const parsed = FILE.safeParse(json);
  if (parsed.success) return parsed.data;
  const issue = parsed.error.issues[0]!;
  return fail(`${issue.path.join('.') || 'the file'} is wrong (${issue.message})`);
}

function routeOf({ devices, exchange, compile, convolutions }: RouteConfig, file: File): Route {
  if (exchange.dtype === 'float16') return ROUTES.float16;
  const isOnCpu = gpusOf(devices).length === 0;
  const isWinograd = convolutions === 'auto' && compile !== 'xla' && isOnCpu && hasWinograd(file);
  return isWinograd ? ROUTES.winograd : ROUTES.float32;
}

/** Whether a convolution of a tower is large enough for Winograd's algorithm. */
function hasWinograd(file: File): boolean {
  const net = buildNet(netOf(file));
  return parametersOf(net, 0).some(({ layer, shape }) => {
    const [height, width] = net.layers.find((each) => 'name' in each && each.name === layer)!.input;
    const [rows, columns, inputs, outputs] = shape;
    if (outputs === undefined) return false; // no kernel of a convolution
    return savesByWinograd([file.batch, height, width, inputs!], [rows!, columns!, inputs!, outputs]);
  });
}

async function runSide(
  side: GoldenRow['side'],
  file: File,
  { devices, coordinator, exchange, exchangeTimeoutMs, compile, convolutions }: RouteConfig,
  route: Route,
): Promise<GoldenRow[]> {
  const net = netOf(file);
  const parameters = parametersIn(file, net);
  const isSplit = side === 'towers';
  const { lr: learningRate, bias_lr_factor: biasRateFactor, bias_decay: biasDecay } = file.optimizer;
  const team = await openTeam(
    {
      ...{ placement: isSplit ? 'split' : 'single', ops: isSplit ? 'native' : 'tfjs' },
      ...{
        devices,
        coordinator,
        exchange,
        exchangeTimeoutMs,
        compile,
        convolutions,
        net,
        seed: 0,
        batchSize: file.batch,
      },
      // The files' rule: v = 0.9 v - 0.0005 lr w - lr g.
      optimizer: {
        ...{ learningRate, momentum: 0.9, weightDecay: 0.0005, biasRateFactor, biasDecay },
        schedule: { kind: 'constant' },
      },
    },
    batchOf(file, net),
  );
  await refuseFallback(team);
  try {
    const { tolerance } = file;
    const rows = new Rows(side, route);
    await putParameters(team, file, parameters, rows);
    for (const [i, expected] of file.steps.entries()) {
      const replies = await team.ask({
        ...{ kind: 'step', slot: 0, count: file.batch, step: i + 1, epoch: 1, update: true, keep: true, learningRate },
      });
      const loss = replies.find((each) => each.loss !== undefined)?.loss ?? Number.NaN;
      rows.add('loss', 'loss', tolerance.loss, `step ${i + 1}`, relative(loss, expected.loss));
      // Rounding grows with the steps, so tensors are compared after the first pass alone.
      if (i > 0) continue;
      await compareAll(team, 'activation', 'layer', expected.layers, tolerance.layers, rows);
      await compareAll(team, 'gradient', 'gradient', expected.gradients, tolerance.gradients, rows);
    }
    await compareAll(team, 'parameter', 'parameter after', file.after, tolerance.after, rows);
    return rows.rows;
  } finally {
    await team.close();
  }
}

/** The worst difference of each kind; NaN is the worst. */
class Rows {
  readonly rows: GoldenRow[] = [];
  constructor(
    readonly side: GoldenRow['side'],
    readonly route: Route,
  ) {}

  add(title: string, quantity: 'loss' | 'norm' | 'element', own: number, name: string, worst: number): void {
    const kind = quantity === 'loss' ? title : `${title} ${quantity}s`;
    const row = this.rows.find((each) => each.kind === kind);
    const tolerance = own * this.route.factor + this.route[quantity];
    if (!row) this.rows.push({ side: this.side, kind, worst, name, tolerance });
    else if (!Number.isNaN(row.worst) && !(worst <= row.worst)) Object.assign(row, { worst, name });
  }
}

async function compareAll(
  team: Team,
  kind: 'activation' | 'gradient' | 'parameter',
  title: string,
  expected: z.infer<typeof named>,
  tolerance: z.infer<typeof allowed>,
  rows: Rows,
): Promise<void> {
  const lists = await team.ask({ kind: 'list' });
  for (const [name, { l2, at }] of Object.entries(expected)) {
    const infos = lists.map((list) => list.find((each) => each.kind === kind && each.name === name));
    const tower = infos.findIndex((info) => info !== undefined);
    if (tower < 0) throw new DataError(`Cannot compare ${name}: the net has no such ${kind}; check the reference file`);
    const values = await fetchTensor(team.towers[tower]!, infos[tower]!);
    rows.add(title, 'norm', tolerance.norm, name, relative(l2Norm(values), l2));
    // A norm does not see values in wrong places. Single elements do, relative to the tensor's root mean square.
    const rootMeanSquare = l2 / Math.sqrt(values.length);
    for (const [position, value] of Object.entries(at)) {
      const distance = Math.abs(values[Number(position)]! - value) / rootMeanSquare;
      rows.add(title, 'element', tolerance.element, `${name}[${position}]`, distance);
    }
  }
}

function netOf({ net, classes }: File): NetOptions {
  const table = net === 'd2l' ? 'tutorial' : net;
  const { inputSize, inputChannels } = TABLES[table];
  return { table, width: 1, inputSize, inputChannels, classes, init: 'table', dropout: false };
}

/** @throws DataError if the file has other parameters than its net. */
function parametersIn(file: File, net: NetOptions): Parameter[] {
  const parameters = parametersOf(buildNet(net));
  const names = Object.keys(file.parameters);
  const missing = parameters.find(({ name }) => !names.includes(name));
  if (!missing && names.length === parameters.length) return parameters;
  throw new DataError(
    `Cannot use the reference file: it has ${names.length} parameters, expected the ${parameters.length} of the net ${net.table}${missing ? `, ${missing.name} among them` : ''}`,
  );
}

async function putParameters(team: Team, file: File, parameters: readonly Parameter[], rows: Rows): Promise<void> {
  const names = Object.keys(file.parameters);
  for (const parameter of parameters) {
    const memory = tensorMemory(parameter.shape);
    const values = new Float32Array(memory);
    fillParameter(values, parameter, names.indexOf(parameter.name), file);
    const { l2 } = file.parameters[parameter.name]!;
    rows.add('parameter before', 'norm', file.tolerance.layers.norm, parameter.name, relative(l2Norm(values), l2));
    await putParameter(team.towers, parameter, memory);
  }
}

function batchOf(file: File, { inputSize, inputChannels }: NetOptions): Batches {
  const layout = floatLayout(file.batch, inputSize, inputChannels);
  const slot = createSlot(layout);
  const { images, labels } = slotViews(slot, layout);
  fillBatch(images, labels, file);
  if (file.labels && String(file.labels) !== String([...labels])) {
    throw new DataError('Cannot use the reference file: its labels are not those of its seed; generate it again');
  }
  return { slots: [slot], layout };
}

function relative(value: number, expected: number): number {
  return value === expected ? 0 : Math.abs(value - expected) / Math.abs(expected);
}

function l2Norm(values: Float32Array): number {
  let sum = 0;
  // An indexed loop: for sixty million values an iterator takes ten times as long.
  for (let i = 0; i < values.length; i++) sum += values[i]! ** 2;
  return Math.sqrt(sum);
}
