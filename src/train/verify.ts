/** The split against the reference: the same steps from the same seed, every tensor compared. */
import type { Config } from '../config/config.js';
import type { BatchFeeder } from '../data/index.js';
import { VerifyError } from '../errors.js';
import { learningRateIn } from '../optim/schedule.js';
import { compareTeams, type Difference } from './compare.js';
import { openFeed } from './feed.js';
import { openTeam, type Team, type TeamConfig } from './team.js';

/** One step's losses. */
export interface LossPair {
  step: number;
  split: number;
  reference: number;
  relative: number;
}

export interface VerifyResult {
  passed: boolean;
  /** The largest difference of each tensor over the steps, in the order of the computation. */
  rows: readonly Difference[];
  /** The first tensor out of tolerance. */
  firstDivergent?: string;
  losses: readonly LossPair[];
  /** What is allowed, relative, by kind. */
  tolerances: Tolerances;
}

/** What is allowed, by kind: the largest difference in a tensor as a share of its largest value. And why. */
export interface Tolerances {
  readonly input: number;
  readonly activation: number;
  readonly gradient: number;
  readonly parameter: number;
  readonly loss: number;
  /** In how many steps tensors are compared; after them only the losses are. */
  readonly steps: number;
  readonly why: string;
}

/** `docs/numerics.md` has the measurements. */
export const TOLERANCES: Tolerances = {
  ...{ input: 1e-3, activation: 1e-3, gradient: 2e-2, parameter: 1e-3, loss: 1e-4, steps: Number.POSITIVE_INFINITY },
  why: 'the same kernels give 0, or 1e-7 where they sum in another order; other rounding some 1e-6, and a ReLU that falls the other way for it up to 1e-2 in a gradient; a mistake about 1',
};

/** Where float16 crosses. */
export const HALF_TOLERANCES: Tolerances = {
  ...{ input: 2e-3, activation: 2e-3, gradient: 0.5, parameter: 0.25, loss: 1e-2, steps: 1 },
  why: 'float16 has 11 bits: each value that crosses is off by up to 5e-4, and ReLUs that fall the other way for it change a gradient, or a bias that began at 0, by up to 0.2; a mistake by about 1. After the first step the two trainings part, and only the losses are compared',
};

/** What is allowed for a config's way to cross. */
export function tolerancesOf({ exchange }: Pick<Config, 'exchange'>): Tolerances {
  return exchange.dtype === 'float16' ? HALF_TOLERANCES : TOLERANCES;
}

/**
 * Runs both sides for some steps, with dropout and augmentation as configured, and compares after each.
 * @param ui is told of each step.
 * @throws DataError, ConfigError, NativeError for what makes no run.
 */
export async function verify(
  config: Config,
  { steps }: { steps: number },
  { print }: { print(line: string): void },
): Promise<VerifyResult> {
  const { feeder } = await openFeed(config, { note: print });
  try {
    const split = await openTeam({ ...config, placement: 'split' }, feeder.slots, print);
    await refuseFallback(split);
    const reference = await openTeam(referenceOf(config), feeder.slots).catch(async (error: unknown) => {
      await split.close();
      throw error;
    });
    try {
      const result = new Comparison(tolerancesOf(config));
      for (let step = 1; step <= steps && result.passed; step++) {
        const { loss, worst } = await compareStep(split, reference, feeder, config, step, true, result);
        print(`step ${step}/${steps}: loss ${loss.toFixed(6)}, worst relative difference ${worst.toExponential(1)}`);
      }
      // A run's own traces capture nothing: one more step with those, of which loss and parameters are compared.
      if (result.passed) await compareStep(split, reference, feeder, config, steps + 1, false, result);
      return result.done();
    } finally {
      await Promise.all([split.close(), reference.close()]);
    }
  } finally {
    await feeder.close();
  }
}

/** What the check before a run found. */
export interface CheckResult {
  passed: boolean;
  worst: number;
  /** The tensor nearest to its tolerance; the first out of it when it did not pass. */
  tensor: string;
  /** That tensor's. */
  tolerance: number;
  ms: number;
}

/**
 * The short form: the first batch through a run's own towers and through a reference, without an update, so that the
 * run goes on as if nothing had been.
 */
export async function checkTeam(team: Team, feeder: BatchFeeder, config: Config): Promise<CheckResult> {
  const started = performance.now();
  const reference = await openTeam(referenceOf(config), feeder.slots);
  try {
    const comparison = new Comparison(tolerancesOf(config));
    await compareStep(team, reference, feeder, config, 1, true, comparison, false);
    const { rows, losses, passed, firstDivergent, tolerances } = comparison.done();
    const share = ({ relative, kind }: Difference) => relative / tolerances[kind];
    const [loss] = losses;
    if (!passed && firstDivergent === undefined && loss) {
      const { relative } = loss;
      return {
        passed,
        worst: relative,
        tensor: 'the loss',
        tolerance: tolerances.loss,
        ms: performance.now() - started,
      };
    }
    const worst =
      rows.find(({ name }) => name === firstDivergent) ?? rows.reduce((a, b) => (share(b) <= share(a) ? a : b));
    const { name: tensor, relative, kind } = worst;
    return { passed, worst: relative, tensor, tolerance: tolerances[kind], ms: performance.now() - started };
  } finally {
    await reference.close();
  }
}

/** @throws VerifyError when the transport to be verified is not the one in use; closes the team then. */
export async function refuseFallback(team: Team): Promise<void> {
  const [warning] = team.warnings;
  if (warning === undefined) return;
  await team.close();
  throw new VerifyError(`Cannot verify the exchange that was asked for: ${warning}`);
}

/** The whole net on the first device, with the same ops: what differs is the split's doing alone. */
function referenceOf(config: Config): TeamConfig {
  return { ...config, placement: 'single' };
}

async function compareStep(
  split: Team,
  reference: Team,
  feeder: BatchFeeder,
  { optimizer }: Config,
  step: number,
  keep: boolean,
  comparison: Comparison,
  update = true,
): Promise<{ loss: number; worst: number }> {
  const batch = await feeder.train(step);
  const { slot, count } = batch;
  const epoch = batch.epoch + 1;
  const learningRate = learningRateIn(epoch, optimizer);
  const command = { kind: 'step', slot, count, step, learningRate, epoch, update, keep, checksum: keep } as const;
  const [mine, theirs] = await Promise.all([split.ask(command), reference.ask(command)]);
  feeder.release(batch);
  const [a, b] = [mine, theirs].map((replies) => replies.find((each) => each.loss !== undefined)?.loss ?? Number.NaN);
  comparison.addLoss({ step, split: a!, reference: b!, relative: Math.abs(a! - b!) / Math.abs(b!) }, keep);
  const differences = comparison.wants(step) ? await compareTeams(split, reference) : [];
  comparison.add(differences);
  const worst = differences.reduce((most, { relative }) => Math.max(relative, most), 0);
  return { loss: a!, worst };
}

/** The worst of each tensor so far. */
class Comparison {
  readonly #tolerances: Tolerances;
  readonly #rows = new Map<string, Difference>();
  readonly #losses: LossPair[] = [];
  #firstDivergent: string | undefined;
  #passed = true;

  constructor(tolerances: Tolerances) {
    this.#tolerances = tolerances;
  }

  get passed(): boolean {
    return this.#passed;
  }

  /** @param isListed whether it is one of the steps that were asked for. */
  addLoss(pair: LossPair, isListed: boolean): void {
    if (isListed) this.#losses.push(pair);
    if (!(pair.relative <= this.#tolerances.loss)) this.#passed = false;
  }

  /** Whether the tensors of that step are to be compared. */
  wants(step: number): boolean {
    return step <= this.#tolerances.steps;
  }

  add(differences: readonly Difference[]): void {
    for (const each of differences) {
      const name = each.kind === 'gradient' ? `gradient of ${each.name}` : each.name;
      const before = this.#rows.get(name);
      if (!before || !(each.relative <= before.relative)) this.#rows.set(name, { ...each, name });
      if (each.relative <= this.#tolerances[each.kind]) continue;
      this.#firstDivergent ??= name;
      this.#passed = false;
    }
  }

  done(): VerifyResult {
    return {
      passed: this.#passed,
      rows: [...this.#rows.values()],
      ...(this.#firstDivergent !== undefined && { firstDivergent: this.#firstDivergent }),
      losses: this.#losses,
      tolerances: this.#tolerances,
    };
  }
}
