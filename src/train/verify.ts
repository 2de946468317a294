/** Compares the split with the reference: the same steps from the same seed, tensor by tensor. */
import type { Config } from '../config/config.js';
import type { BatchFeeder } from '../data/index.js';
import { VerifyError } from '../errors.js';
import type { EventOf } from '../log.js';
import { learningRateAt } from '../optim/schedule.js';
import type { TensorInfo, TensorKind } from '../tower/protocol.js';
import { rowsOf, towerName } from '../tower/replica.js';
import { openFeed } from './feed.js';
import { type Busy, stepsOf } from './progress.js';
import { answersOf } from './run-events.js';
import { openTeam, referenceOf, type Team } from './team.js';
import { fetchTensor } from './tower-tensors.js';

/** How far a tensor of the split is from the reference's. */
export interface Difference {
  name: string;
  layer: string;
  kind: TensorKind;
  absolute: number;
  /** The largest difference as a share of the reference's largest value; NaN if either side has NaN. */
  relative: number;
}

export type VerifyResult = ReturnType<Comparison['result']>;

/** The allowed relative difference by kind, and the reason. */
interface Tolerances extends Readonly<Record<TensorKind | 'loss', number>> {
  /** Tensors are compared in this many steps, after which only the losses are. */
  readonly steps: number;
  readonly why: string;
}

/** `docs/numerics.md` has the measurements. */
export const TOLERANCES: Tolerances = {
  ...{ input: 1e-3, activation: 1e-3, gradient: 2e-2, parameter: 1e-3, loss: 1e-4, steps: Number.POSITIVE_INFINITY },
  why: 'with the same kernels the difference is 0, or 1e-7 if they sum in another order; kernels that round differently give about 1e-6, and up to 1e-2 in a gradient if a ReLU flips; a mistake in the split gives about 1',
};

/** For `--exchange-dtype float16`. */
export const HALF_TOLERANCES: Tolerances = {
  ...{ input: 2e-3, activation: 2e-3, gradient: 0.5, parameter: 0.25, loss: 1e-2, steps: 1 },
  why: 'float16 has 11 bits: every exchanged value is off by up to 5e-4; ReLUs that flip because of this change a gradient, or a bias that began at 0, by up to 0.2; a mistake in the split gives about 1. After the first step the two trainings diverge, so only the losses are compared',
};

/** For several replicas, whose batches are smaller than the reference's. */
export const REPLICA_TOLERANCES: Tolerances = {
  ...{ input: 1e-3, activation: 1e-3, gradient: 0.1, parameter: 0.1, loss: 1e-2, steps: 2 },
  why: 'gradients add up in another order than in one batch, which gives about 1e-6; the reference may use other convolutions for its larger batch, and if a ReLU or the place of a maximum flips because of this, a gradient of a batch of few images changes by up to 4e-2, and so does a bias that began at 0; a mistake in the average gives about 1. Two trainings that round differently drift apart, so after two steps only the losses are compared',
};

export function tolerancesOf({ exchange, replicas }: Pick<Config, 'exchange' | 'replicas'>): Tolerances {
  if (exchange.dtype === 'float16') return HALF_TOLERANCES;
  return replicas > 1 ? REPLICA_TOLERANCES : TOLERANCES;
}

/**
 * Trains both sides for some steps, with dropout and augmentation as configured, and compares after each.
 * @param ui receives a line for each step.
 * @throws DataError, ConfigError, NativeError if there is nothing to run.
 */
export async function verify(
  config: Config,
  { steps }: { steps: number },
  { print, busy }: { print(line: string): void; busy?: Busy },
): Promise<VerifyResult> {
  busy?.('reading the data set');
  const { feeder } = await openFeed(config, { note: print });
  try {
    busy?.(`opening ${config.devices.join(' and ')}`);
    const split = await openTeam(config.replicas > 1 ? config : { ...config, placement: 'split' }, feeder, print);
    await refuseFallback(split);
    // The whole net with the same ops, so that every difference comes from the split.
    const reference = await openTeam(referenceOf(config), feeder).catch(async (error: unknown) => {
      await split.close();
      throw error;
    });
    try {
      const comparison = new Comparison(split, reference, feeder, config);
      for (let step = 1; step <= steps && comparison.passed; step++) {
        busy?.(`step ${step} of the split and of the reference`);
        const { loss, worst } = await comparison.step(step, { update: true, keep: true });
        print(
          `step ${step}/${steps}: loss ${loss.toFixed(6)}, worst relative difference ${worst === 0 ? 0 : worst.toExponential(1)}`,
        );
      }
      // The function of a training step keeps no tensors: one more step with it, to compare its loss and parameters.
      busy?.('one more step, with the function of a training');
      if (comparison.passed) await comparison.step(steps + 1, { update: true, keep: false });
      return comparison.result();
    } finally {
      await Promise.all([split.close(), reference.close()]);
    }
  } finally {
    await feeder.close();
  }
}

/**
 * The check before a training: the first batch through the training's own towers and through a reference, without an
 * update, so that it leaves no trace.
 * @returns the event; its tensor is the first out of tolerance, or else the nearest to its tolerance.
 */
export async function checkTeam(team: Team, feeder: BatchFeeder, config: Config): Promise<EventOf<'check'>> {
  const started = performance.now();
  const reference = await openTeam(referenceOf(config), feeder);
  try {
    const comparison = new Comparison(team, reference, feeder, config);
    await comparison.step(1, { update: false, keep: true });
    const { rows, losses, passed, firstDivergent, tolerances } = comparison.result();
    const { differing } = comparison;
    const share = ({ relative, kind }: Difference) => relative / tolerances[kind];
    const isLoss = !passed && firstDivergent === undefined;
    const worst = isLoss
      ? { name: 'the loss', kind: 'loss' as const, relative: losses[0]!.relative }
      : (rows.find(({ name }) => name === firstDivergent) ?? rows.reduce((a, b) => (share(b) <= share(a) ? a : b)));
    const isReplica = differing !== undefined && differing.name === firstDivergent;
    const {
      name: tensor,
      relative,
      tolerance,
    } = isReplica ? { ...differing, tolerance: 0 } : { ...worst, tolerance: tolerances[worst.kind] };
    return {
      ...{ event: 'check', steps: 1, worst_relative: relative, tensor },
      ...{ tolerance, passed, check_ms: performance.now() - started },
    };
  } finally {
    await reference.close();
  }
}

/** @throws VerifyError, and closes the team, if the transport in use is not the one to be verified. */
export async function refuseFallback(team: Team): Promise<void> {
  const [warning] = team.warnings;
  if (warning === undefined) return;
  await team.close();
  throw new VerifyError(`Cannot verify the exchange that was requested: ${warning}`);
}

/** Runs steps on both sides, and keeps the worst difference of each tensor. */
class Comparison {
  readonly #tolerances: Tolerances;
  readonly #rows = new Map<string, Difference>();
  readonly #losses: { step: number; split: number; reference: number; relative: number }[] = [];
  #firstDivergent: string | undefined;
  /** The first tensor that is not the same in all replicas. */
  differing: Differing | undefined;
  passed = true;

  constructor(
    readonly split: Team,
    readonly reference: Team,
    readonly feeder: BatchFeeder,
    readonly config: Config,
  ) {
    this.#tolerances = tolerancesOf(config);
  }

  /**
   * @param options `keep` keeps the tensors of the pass for the comparison, and lists the loss in the result.
   * @returns the split's loss and the worst relative difference.
   */
  async step(step: number, options: { update: boolean; keep: boolean }): Promise<{ loss: number; worst: number }> {
    const { split, reference, feeder, config } = this;
    const batch = await feeder.train(step);
    const { slot, count } = batch;
    const epoch = batch.epoch + 1;
    const { batchesPerEpoch } = feeder;
    const moment = { step, steps: stepsOf(config, batchesPerEpoch), batchesPerEpoch };
    const learningRate = learningRateAt(moment, config.optimizer);
    const pass = { slot, count, step, learningRate, epoch, checksum: options.keep };
    const command = { kind: 'step', ...pass, ...options } as const;
    const replies = await Promise.all([split.ask(command), reference.ask(command)]);
    feeder.release(batch);
    const [a, b] = replies.map((side) => answersOf(side).loss);
    const pair = { step, split: a!, reference: b!, relative: Math.abs(a! - b!) / Math.abs(b!) };
    if (options.keep) this.#losses.push(pair);
    if (!(pair.relative <= this.#tolerances.loss)) this.passed = false;
    const isCompared = step <= this.#tolerances.steps;
    const differences = isCompared ? await compareTeams(split, reference, count) : [];
    for (const each of differences) this.#add(each);
    if (config.replicas > 1) this.#addReplicas(await differingReplica(split));
    return { loss: a!, worst: differences.reduce((most, { relative }) => Math.max(relative, most), 0) };
  }

  #add(difference: Difference): void {
    const { kind, relative } = difference;
    const name = kind === 'gradient' ? `gradient of ${difference.name}` : difference.name;
    const before = this.#rows.get(name);
    if (!before || !(relative <= before.relative)) this.#rows.set(name, { ...difference, name });
    if (relative <= this.#tolerances[kind]) return;
    this.#firstDivergent ??= name;
    this.passed = false;
  }

  #addReplicas(found: Differing | undefined): void {
    if (found === undefined) return;
    this.differing ??= found;
    this.#firstDivergent ??= found.name;
    this.passed = false;
  }

  result() {
    const { differing } = this;
    const { replicas: count } = this.config;
    return {
      passed: this.passed,
      /** The largest difference of each tensor over the steps, in the order of the computation. */
      rows: [...this.#rows.values()],
      /** The first tensor out of tolerance. */
      ...(this.#firstDivergent !== undefined && { firstDivergent: this.#firstDivergent }),
      losses: this.#losses,
      /** Of several replicas: whether all have the same weights, bit for bit, or where the first difference is. */
      ...(count > 1 && { replicas: { count, ...(differing && { differing: differing.name }) } }),
      tolerances: this.#tolerances,
    };
  }
}

/**
 * The differences in the order of {@link inOrder}. Both teams have run the same step with `keep`. Each replica has its rows
 * of the reference's activations.
 * @param count the images of the step.
 */
async function compareTeams(split: Team, reference: Team, count: number): Promise<Difference[]> {
  const lists = await split.ask({ kind: 'list' });
  const owned = lists.flatMap((list, tower) => list.map((info) => ({ info, tower: split.towers[tower]! })));
  const differences: Difference[] = [];
  for (const { info, tower } of inOrder(owned)) {
    const { name, layer, kind } = info;
    const { replica } = tower.setup;
    const isActivation = kind === 'input' || kind === 'activation';
    const { from, to } = rowsOf(count, replica);
    // Gradients and parameters of other replicas are compared with those of the first: see differingReplica().
    if (isActivation ? from === to : replica.index > 0) continue;
    const shape = isActivation ? [count, ...info.shape.slice(1)] : info.shape;
    const sides = [fetchTensor(tower, info), fetchTensor(reference.towers[0]!, { ...info, shape })];
    const [a, all] = await Promise.all(sides);
    const values = all!.length / count;
    const b = isActivation ? all!.subarray(from * values, to * values) : all!;
    differences.push({ name, layer, kind, ...difference(a!, b) });
  }
  return differences;
}

/** A gradient or parameter of a replica that is not that of the first, and its relative difference. */
type Differing = Pick<Difference, 'name' | 'relative'>;

/** The first gradient or parameter that is not the same in all replicas, bit for bit. */
async function differingReplica(team: Team): Promise<Differing | undefined> {
  const lists = await team.ask({ kind: 'list' });
  for (const [i, { setup }] of team.towers.entries()) {
    const { part, replica } = setup;
    if (replica.index === 0) continue;
    const first = team.first.find((each) => each.setup.part === part)!;
    for (const info of lists[i]!.filter(({ kind }) => kind === 'gradient' || kind === 'parameter')) {
      const [a, b] = await Promise.all([fetchTensor(team.towers[i]!, info), fetchTensor(first, info)]);
      if (Buffer.from(a!.buffer).equals(Buffer.from(b!.buffer))) continue;
      const what = info.kind === 'gradient' ? `the gradient of ${info.name}` : info.name;
      const name = `${what} in ${towerName(setup)}, which is not that of the first replica`;
      return { name, relative: difference(a!, b!).relative };
    }
  }
  return undefined;
}

/** Largest difference of two values, absolute and as a share of the largest value of `b`. */
export function difference(a: Float32Array, b: Float32Array): { absolute: number; relative: number } {
  let absolute = 0;
  let largest = 0;
  for (let i = 0; i < a.length; i++) {
    const distance = Math.abs(a[i]! - b[i]!);
    if (!(distance <= absolute)) absolute = distance; // also if it is NaN
    if (Number.isNaN(absolute)) return { absolute, relative: Number.NaN };
    const value = Math.abs(b[i]!);
    if (value > largest) largest = value;
  }
  return { absolute, relative: absolute === 0 ? 0 : absolute / largest };
}

/** Activations of both towers layer by layer, then the gradients, then the parameters. */
function inOrder<T extends { info: TensorInfo }>(owned: readonly T[]): T[] {
  const phases: readonly TensorKind[][] = [['input', 'activation'], ['gradient'], ['parameter']];
  const layers = [...new Set(owned.map(({ info }) => info.layer))];
  const backward = layers.toReversed();
  const rank = ({ info: { kind, layer } }: T) => (kind === 'gradient' ? backward : layers).indexOf(layer);
  // The sort is stable: an input stays before its layer's activation, tower 0 before tower 1.
  return phases.flatMap((kinds) =>
    owned.filter(({ info }) => kinds.includes(info.kind)).sort((a, b) => rank(a) - rank(b)),
  );
}
