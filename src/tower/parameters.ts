/** A tower's parameters and their velocities, on its device. */
import tf = require('@tensorflow/tfjs');

import { writeTensors } from '../checkpoint/safetensors.js';
import { withTensors } from '../checkpoint/weights-files.js';
import { initialValue } from '../model/init.js';
import type { NetOptions, Parameter } from '../model/net.js';
import { copyTensor, tensorFrom } from '../native/binding/tensors.js';
import { descend, descendIn, type UpdateRates, updateScalars, Variable } from '../native/binding/variables.js';
import { type Compiled, type CompileOptions, compile } from '../native/graph/compile.js';
import { statelessNormal, statelessUniform } from '../native/layers/stateless-random.js';
import { type OptimizerOptions, rateClassOf, ratesOf } from '../optim/schedule.js';
import type { TowerSetup } from './protocol.js';
import { copySnapshot, restoreSnapshot } from './snapshot.js';

/** A parameter on its device. */
export interface Held {
  parameter: Parameter;
  variable: Variable;
  /** Only with momentum. */
  velocity: Variable | undefined;
  /** What it shares with the parameters that have the same rates in every step. */
  rateClass: string;
}

/** The parameters of one tower, in the net's order. */
export class Parameters {
  readonly #held: readonly Held[];
  /** A parameter of each class of rates. */
  readonly #classes: ReadonlyMap<string, Parameter>;
  readonly #optimizer: OptimizerOptions;
  readonly #compile: TowerSetup['compile'];
  /** The update by the classes of rates that take part: one but while some stand still. */
  readonly #compiled = new Map<string, Compiled>();

  /** Makes them with their initial values, functions of the seed and their names. */
  constructor(
    parameters: readonly Parameter[],
    init: NetOptions['init'],
    optimizer: OptimizerOptions,
    seed: number,
    compile: TowerSetup['compile'] = 'off',
  ) {
    this.#optimizer = optimizer;
    this.#compile = compile;
    this.#held = parameters.map((parameter) => {
      const variable = variableOf(() =>
        initialValue(parameter, init, seed, { normal: statelessNormal, uniform: statelessUniform }),
      );
      const velocity = optimizer.momentum > 0 ? variableOf(() => tf.zeros([...parameter.shape])) : undefined;
      return { parameter, variable, velocity, rateClass: rateClassOf(parameter, optimizer) };
    });
    this.#classes = new Map(this.#held.map(({ rateClass, parameter }) => [rateClass, parameter]));
  }

  get names(): string[] {
    return this.#held.map(({ parameter }) => parameter.name);
  }

  get described(): readonly Parameter[] {
    return this.#held.map(({ parameter }) => parameter);
  }

  /** The values in order; the caller's, to be disposed of before {@link update}. */
  read(): tf.Tensor[] {
    return this.#held.map(({ variable }) => variable.read());
  }

  /** One parameter's value; the caller's. */
  readOne(name: string): tf.Tensor {
    return this.#find(name).variable.read();
  }

  /**
   * One step of the optimizer; what has a rate of 0 in that epoch stays as it is.
   * @param gradients in order; stay the caller's.
   * @param learningRate the kernels', by the schedule.
   */
  update(gradients: readonly tf.Tensor[], learningRate: number, epoch = 1): void {
    const byClass = this.#moving(learningRate, epoch);
    if (this.#compile === 'off') {
      this.#held.forEach(({ variable, velocity, rateClass }, i) => {
        const rates = byClass.get(rateClass);
        if (rates) descend(variable, velocity, gradients[i]!, rates);
      });
      return;
    }
    if (byClass.size === 0) return;
    const classes = [...byClass.keys()];
    const key = classes.join();
    const update = this.#compiled.get(key) ?? this.#compileUpdate(byClass);
    this.#compiled.set(key, update);
    const rates = [...byClass.values()].map((rate) => tf.scalar(rate.learningRate));
    const moving = gradients.filter((_, i) => byClass.has(this.#held[i]!.rateClass));
    for (const each of [...rates, ...update(...rates, ...moving)]) each.dispose();
  }

  /** The classes of rates that take part in a step, each with its rates. */
  #moving(learningRate: number, epoch: number): Map<string, UpdateRates> {
    const all = [...this.#classes].map(([name, parameter]): [string, UpdateRates] => {
      return [name, ratesOf(parameter, { learningRate, epoch }, this.#optimizer)];
    });
    return new Map(all.filter(([, rates]) => rates.learningRate !== 0));
  }

  /** The update of the parameters of those classes as one function of a learning rate a class and their gradients. */
  #compileUpdate(byClass: ReadonlyMap<string, UpdateRates>): Compiled {
    const moving = this.#held.filter(({ rateClass }) => byClass.has(rateClass));
    return compile(
      (...inputs) => {
        const scalars = new Map([...byClass].map(([name, rates], i) => [name, updateScalars(inputs[i]!, rates)]));
        for (const [i, { variable, velocity, rateClass }] of moving.entries()) {
          descendIn(variable, velocity, inputs[byClass.size + i]!, scalars.get(rateClass)!);
        }
        return [inputs[0]!];
      },
      { mode: modeOf(this.#compile) },
    );
  }

  /** Traces of the compiled update: one, and one more for each set of parameters that stood still meanwhile. */
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

  /** Writes the values into a safetensors file. @throws CheckpointError when the disk does not take it. */
  save(file: string, metadata: Readonly<Record<string, string>>): void {
    const entries = this.#held.map(({ parameter: { name, shape } }) => ({ name, shape }));
    writeTensors(file, entries, metadata, ({ name }, bytes) => {
      const value = this.readOne(name);
      copyTensor(value, bytes);
      value.dispose();
    });
  }

  /** Takes each parameter from the file that has it. @throws CheckpointError when none has one of them. */
  load(files: readonly string[]): void {
    withTensors(files, ({ read }) => {
      for (const { parameter } of this.#held) this.put(parameter.name, read(parameter.name, parameter.shape));
    });
  }

  /** Copies values and velocities into memory laid out by `snapshotEntries`. */
  snapshot(target: Uint8Array): void {
    copySnapshot(this.#held, target);
  }

  /** Takes values and velocities from a checkpoint's files. @throws CheckpointError when they are another net's. */
  restore(files: readonly string[]): void {
    restoreSnapshot(this.#held, files);
  }

  /** Frees all of it on the device. */
  dispose(): void {
    for (const update of this.#compiled.values()) update.dispose();
    for (const { variable, velocity } of this.#held) {
      variable.dispose();
      velocity?.dispose();
    }
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

/** The compiler's word for a setting. */
export function modeOf(setting: TowerSetup['compile']): NonNullable<CompileOptions['mode']> {
  return setting === 'xla' ? 'xla' : 'graph';
}
