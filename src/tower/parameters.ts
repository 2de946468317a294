/** A tower's parameters and their velocities, on its device. */
import tf = require('@tensorflow/tfjs');

import { bytesOf, writeTensors } from '../checkpoint/safetensors.js';
import { withTensors } from '../checkpoint/weights-files.js';
import { initialValue } from '../model/init.js';
import type { NetOptions, Parameter } from '../model/net.js';
import { copyTensor, tensorFrom } from '../native/binding/tensors.js';
import { descend, type UpdateRates, type UpdateScalars, updateScalars, Variable } from '../native/binding/variables.js';
import { type Compiled, compile } from '../native/graph/compile.js';
import { inScope } from '../native/graph/scope.js';
import { statelessNormal, statelessUniform } from '../native/layers/stateless-random.js';
import { isFrozen, type OptimizerOptions, rateClassOf, ratesOf } from '../optim/schedule.js';
import { PURPOSE } from '../random.js';
import type { TowerSetup } from './protocol.js';
import { scopeOf } from './scopes.js';
import { isVelocity, snapshotEntries } from './snapshot.js';

interface Held {
  parameter: Parameter;
  variable: Variable;
  /** Only with momentum. */
  velocity: Variable | undefined;
  /** Common to the parameters that have the same rates in every step. */
  rateClass: string;
}

/** The parameters of one tower, in the net's order. */
export class Parameters {
  readonly #held: readonly Held[];
  /** Those that are not frozen. */
  readonly #trained: readonly Held[];
  /** One parameter of each rate class. */
  readonly #classes: ReadonlyMap<string, Parameter>;
  readonly #optimizer: OptimizerOptions;
  readonly #compile: TowerSetup['compile'];
  readonly #tower: number;
  /** The compiled updates, by the rate classes that take part: one, unless some have a rate of 0 in some epochs. */
  readonly #compiled = new Map<string, Compiled>();

  /**
   * Makes them with their initial values, which depend on the seed and their names.
   * @param tower names the update's ops. @param newHead draws the last layer apart: the features of trained weights are
   * adapted to the values with which their own last layer began, which may be those of the same seed.
   */
  constructor(
    parameters: readonly Parameter[],
    init: NetOptions['init'],
    optimizer: OptimizerOptions,
    seed: number,
    compile: TowerSetup['compile'] = 'off',
    tower = 0,
    newHead = false,
  ) {
    this.#optimizer = optimizer;
    this.#tower = tower;
    this.#compile = compile;
    const random = { normal: statelessNormal, uniform: statelessUniform };
    this.#held = parameters.map((parameter) => {
      const variable = variableOf(() =>
        initialValue(parameter, init, seed, random, newHead && parameter.isHead ? PURPOSE.newHead : PURPOSE.init),
      );
      const velocity = optimizer.momentum > 0 ? variableOf(() => tf.zeros([...parameter.shape])) : undefined;
      return { parameter, variable, velocity, rateClass: rateClassOf(parameter, optimizer) };
    });
    this.#trained = this.#held.filter(({ parameter }) => !isFrozen(parameter.layer, optimizer));
    this.#classes = new Map(this.#trained.map(({ rateClass, parameter }) => [rateClass, parameter]));
  }

  get names(): string[] {
    return this.#held.map(({ parameter }) => parameter.name);
  }

  get described(): readonly Parameter[] {
    return this.#held.map(({ parameter }) => parameter);
  }

  /** The parameters that are not frozen, in order. */
  get trained(): readonly Parameter[] {
    return this.#trained.map(({ parameter }) => parameter);
  }

  /** Returns the values in order; the caller disposes them before {@link update}. */
  read(): tf.Tensor[] {
    return this.#held.map(({ variable }) => variable.read());
  }

  /** Returns one parameter's value; the caller disposes it. */
  readOne(name: string): tf.Tensor {
    return this.#find(name).variable.read();
  }

  /**
   * Makes one step of the optimizer. Parameters with a rate of 0 in that epoch stay as they are.
   * @param gradients of {@link trained}, in order; they stay the caller's.
   * @param learningRate of the kernels, by the schedule.
   */
  update(gradients: readonly tf.Tensor[], learningRate: number, epoch = 1): void {
    const byClass = this.#moving(learningRate, epoch);
    if (this.#compile === 'off') {
      this.#trained.forEach((held, i) => {
        const rates = byClass.get(held.rateClass);
        if (rates) tf.tidy(() => this.#descend(held, gradients[i]!, updateScalars(rates)));
      });
      return;
    }
    if (byClass.size === 0) return;
    const key = [...byClass.keys()].join();
    const update = this.#compiled.get(key) ?? this.#compileUpdate(byClass);
    this.#compiled.set(key, update);
    const rates = [...byClass.values()].map((rate) => tf.scalar(rate.learningRate));
    const moving = gradients.filter((_, i) => byClass.has(this.#trained[i]!.rateClass));
    for (const each of [...rates, ...update(...rates, ...moving)]) each.dispose();
  }

  /** The rates of each class that takes part in a step. */
  #moving(learningRate: number, epoch: number): Map<string, UpdateRates> {
    const all = [...this.#classes].map(([name, parameter]): [string, UpdateRates] => {
      return [name, ratesOf(parameter, { learningRate, epoch }, this.#optimizer)];
    });
    return new Map(all.filter(([, rates]) => rates.learningRate !== 0));
  }

  /** Compiles the update of those classes as a function of a learning rate for each class, and the gradients. */
  #compileUpdate(byClass: ReadonlyMap<string, UpdateRates>): Compiled {
    const moving = this.#trained.filter(({ rateClass }) => byClass.has(rateClass));
    return compile(
      (...inputs) => {
        const scalars = new Map([...byClass].map(([name, rates], i) => [name, updateScalars(rates, inputs[i])]));
        for (const [i, held] of moving.entries()) {
          this.#descend(held, inputs[byClass.size + i]!, scalars.get(held.rateClass)!);
        }
        return [inputs[0]!];
      },
      { mode: this.#compile === 'xla' ? 'xla' : 'graph' },
    );
  }

  #descend({ parameter, variable, velocity }: Held, gradient: tf.Tensor, scalars: UpdateScalars): void {
    const scope = scopeOf(this.#tower, parameter.layer, 'update', 'update');
    inScope(scope, () => descend(variable, velocity, gradient, scalars));
  }

  /** How often an update was traced: once, and once more for each other set of parameters that took part. */
  get traces(): number {
    return [...this.#compiled.values()].reduce((total, { traces }) => total + traces, 0);
  }

  /** Replaces a parameter's value and sets its velocity to zero. */
  put(name: string, values: Float32Array): void {
    const { parameter, variable, velocity } = this.#find(name);
    tf.tidy(() => {
      variable.assign(tensorFrom(parameter.shape, values));
      velocity?.assign(tf.zeros([...parameter.shape]));
    });
  }

  /** Writes the values into a safetensors file. @throws CheckpointError if the file cannot be written. */
  save(file: string, metadata: Readonly<Record<string, string>>): void {
    const entries = this.#held.map(({ parameter: { name, shape } }) => ({ name, shape }));
    writeTensors(file, entries, metadata, ({ name }, bytes) => copyVariable(this.#find(name).variable, bytes));
  }

  /**
   * Takes each value from the file that has it. @param withHead whether those of the last layer are taken too.
   * @throws CheckpointError if no file has it.
   */
  load(files: readonly string[], withHead = true): void {
    const loaded = this.#held.filter(({ parameter }) => withHead || !parameter.isHead);
    withTensors(files, ({ read }) => {
      for (const { parameter } of loaded) this.put(parameter.name, read(parameter.name, parameter.shape));
    });
  }

  /** Copies values and velocities into memory, in the order of `snapshotEntries`. */
  snapshot(target: Uint8Array): void {
    let offset = 0;
    for (const [, variable] of this.#variables()) {
      const end = offset + bytesOf(variable.shape);
      copyVariable(variable, target.subarray(offset, end));
      offset = end;
    }
  }

  /**
   * Takes each value and velocity from the file that has it. If the run had no momentum, there are no velocities: a branch
   * with momentum keeps its zeros.
   * @throws CheckpointError if no file has one of them.
   */
  restore(files: readonly string[]): void {
    withTensors(files, ({ read, entries }) => {
      const hasVelocities = entries.some(({ name }) => isVelocity(name));
      for (const [name, variable] of this.#variables()) {
        if (isVelocity(name) && !hasVelocities) continue;
        tf.tidy(() => variable.assign(tensorFrom(variable.shape, read(name, variable.shape))));
      }
    });
  }

  dispose(): void {
    for (const update of this.#compiled.values()) update.dispose();
    for (const [, variable] of this.#variables()) variable.dispose();
  }

  /** All values, then all velocities, by their names in a checkpoint. */
  #variables(): [name: string, variable: Variable][] {
    const all = [
      ...this.#held.map(({ variable }) => variable),
      ...this.#held.flatMap(({ velocity }) => velocity ?? []),
    ];
    return snapshotEntries(this.described, this.#optimizer.momentum).map(({ name }, i) => [name, all[i]!]);
  }

  #find(name: string): Held {
    const held = this.#held.find(({ parameter }) => parameter.name === name);
    if (!held) throw new Error(`this tower has no parameter ${name}`);
    return held;
  }
}

function variableOf(initial: () => tf.Tensor): Variable {
  const value = initial();
  const variable = new Variable(value);
  value.dispose();
  return variable;
}

function copyVariable(variable: Variable, target: Uint8Array): void {
  const value = variable.read();
  copyTensor(value, target);
  value.dispose();
}
