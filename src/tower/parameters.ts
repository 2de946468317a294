/** A tower's parameters and their velocities, on its device. */
import * as tf from '@tensorflow/tfjs';
import { withTensors } from '../checkpoint/files.js';
import { writeTensors } from '../checkpoint/format.js';
import { initialValue } from '../model/init.js';
import type { NetOptions, Parameter } from '../model/net.js';
import { type Compiled, type CompileOptions, compile } from '../native/compile.js';
import { statelessNormal, statelessUniform } from '../native/random.js';
import { copyTensor, tensorFrom } from '../native/tensors.js';
import { descend, descendIn, type UpdateRates, Variable } from '../native/variables.js';
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
  readonly #optimizer: OptimizerOptions;
  readonly #compile: TowerSetup['compile'];
  #reader: Compiled | undefined;
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
  }

  get names(): string[] {
    return this.#held.map(({ parameter }) => parameter.name);
  }

  get described(): readonly Parameter[] {
    return this.#held.map(({ parameter }) => parameter);
  }

  /** The values in order; the caller's, to be disposed of before {@link update}. */
  read(): tf.Tensor[] {
    if (this.#compile === 'off') return this.readEach();
    this.#reader ??= compile(() => this.readEach()); // one call for all of them
    return this.#reader();
  }

  /** As {@link read}, one call each: within a compiled function they are part of it. */
  readEach(): tf.Tensor[] {
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
    const moving = this.#held.flatMap((held, i): Moving[] => {
      const rates = ratesOf(held.parameter, { learningRate, epoch }, this.#optimizer);
      return rates.learningRate === 0 ? [] : [{ ...held, rates, gradient: gradients[i]! }];
    });
    if (this.#compile === 'off') {
      for (const { variable, velocity, gradient, rates } of moving) descend(variable, velocity, gradient, rates);
      return;
    }
    const byClass = new Map(moving.map(({ rateClass, rates }) => [rateClass, rates.learningRate]));
    if (byClass.size === 0) return;
    const classes = [...byClass.keys()];
    const key = classes.join();
    const update = this.#compiled.get(key) ?? this.#compileUpdate(moving, classes);
    this.#compiled.set(key, update);
    const rates = [...byClass.values()].map((rate) => tf.scalar(rate));
    tf.dispose([...rates, ...update(...rates, ...moving.map(({ gradient }) => gradient))]);
  }

  /** The update of those parameters as one function of a learning rate a class and their gradients. */
  #compileUpdate(moving: readonly Moving[], classes: readonly string[]): Compiled {
    return compile(
      (...inputs) => {
        for (const [i, { variable, velocity, rateClass, rates }] of moving.entries()) {
          const rate = inputs[classes.indexOf(rateClass)]!;
          descendIn(variable, velocity, inputs[classes.length + i]!, rate, rates);
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
    this.#reader?.dispose();
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

/** A parameter that a step changes. */
interface Moving extends Held {
  gradient: tf.Tensor;
  rates: UpdateRates;
}

function variableOf(initial: () => tf.Tensor): Variable {
  const value = initial();
  const variable = new Variable(value);
  value.dispose();
  return variable;
}

/** The compiler's word for a setting. */
export function modeOf(setting: TowerSetup['compile']): NonNullable<CompileOptions['mode']> {
  return setting === 'grappler' || setting === 'xla' ? setting : 'graph';
}
