/** Training steps: split and single, eager and compiled, and PyTorch, in turn. */
import tf = require('@tensorflow/tfjs');

import { useDevice } from '../../src/native/binding/backend.js';
import { flopsOf, type NetSettings } from './nets.js';
import { kindsOf, openPyTorch } from './pytorch.js';
import { interleave, median, printTimings, ratios, save, type Variant } from './report.js';
import { startVariant } from './variant.js';

export interface StepOptions extends NetSettings {
  variants: readonly string[];
  rounds: number;
  /** Steps of a variant in its turn; its time is their mean. */
  burst: number;
  /** For one op, ours and PyTorch's; by default a run's own, and as many as the machine has. */
  threads?: number | undefined;
  save?: string | undefined;
}

/** Prints, for each variant, images per second and the share of the matrix product's rate. */
export async function benchStep(options: StepOptions): Promise<void> {
  const { table, batch, pixels, classes, width, variants, rounds, burst, threads } = options;
  const kinds = kindsOf(variants);
  useDevice('CPU:0');
  const pytorch = kinds.length > 0 ? await openPyTorch(kinds, { batch, pixels, classes, width, threads }) : undefined;
  const ours = [];
  for (const name of variants.filter((each) => !each.startsWith('pytorch/'))) {
    ours.push(await startVariant({ table, width, pixels, classes, batch }, name, threads));
  }
  const product = matrixProduct();
  const all = [...(pytorch?.variants ?? []), ...ours.map(({ variant }) => variant), product];
  const timings = await interleave(all, rounds, 2, burst);
  for (const each of ours) each.close();
  pytorch?.close();

  const steps = timings.filter(({ name }) => name !== product.name);
  const rate = (2 * 2048 ** 3) / median(timings.at(-1)!.times);
  const flops = flopsOf(options);
  const perSecond = (ms: number) => ((batch / ms) * 1000).toFixed(1);
  const share = (ms: number) => `${((100 * flops) / ms / rate).toFixed(0)} %`;
  console.log(
    `net ${options.table}, width ${width}, ${pixels} px, batch ${batch}, ${rounds} rounds of ${burst}, threads of an op ${threads ?? 'as a run has them'}`,
  );
  printTimings(steps, { 'images/s': perSecond, 'of matrix product': share });
  console.log(
    `matrix product of 2048: ${(rate / 1e6).toFixed(1)} GFLOP/s; a step has ${(flops / 1e9).toFixed(1)} GFLOP`,
  );
  const result = { pytorch: pytorch?.version, settings: options, timings, ratios: ratios(steps), flops, rate };
  save(options.save, result);
}

/** Products of 2048 × 2048 matrices, which are made beforehand. */
function matrixProduct(): Variant {
  const [a, b] = [tf.keep(tf.randomUniform([2048, 2048])), tf.keep(tf.randomUniform([2048, 2048]))];
  const run = (): undefined => {
    tf.tidy(() => {
      tf.slice(tf.matMul(a as tf.Tensor2D, b as tf.Tensor2D), [0, 0], [1, 1]).dataSync();
    });
  };
  return { name: 'matrix product 2048', run };
}
