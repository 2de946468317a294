/** Training steps: split and single, by op and compiled, and PyTorch, in turn. And the memory over many steps. */
import tf = require('@tensorflow/tfjs');

import { useDevice } from '../../src/native/binding/backend.js';
import { median } from '../../src/numbers.js';
import { flopsOf, type NetSettings, openStepper, startVariant } from './nets.js';
import { kindsOf, openPyTorch } from './pytorch.js';
import { interleave, printTimings, ratios, save, type Variant } from './report.js';

export interface StepOptions extends NetSettings {
  variants: readonly string[];
  rounds: number;
  /** Steps of a variant per round. Its time is their mean. */
  burst: number;
  /** Threads for one op. By default a run's own number, and all cores for PyTorch. */
  threads?: number | undefined;
  save?: string | undefined;
}

/** Prints the images per second of each variant, and its share of the rate of a large matrix product. */
export async function benchStep(options: StepOptions): Promise<void> {
  const { table, batch, pixels, classes, width, variants, rounds, burst, threads } = options;
  const kinds = kindsOf(variants);
  useDevice('CPU:0');
  const pytorch = kinds.length > 0 ? await openPyTorch(kinds, { batch, pixels, classes, width, threads }) : undefined;
  const ours = [];
  for (const name of variants.filter((each) => !each.startsWith('pytorch/'))) {
    ours.push(await startVariant({ table, width, pixels, classes, batch }, name, threads));
  }
  const all = [...(pytorch?.variants ?? []), ...ours, matrixProduct()];
  const timings = await interleave(all, rounds, 2, burst);
  for (const each of ours) each.close();
  pytorch?.close();

  const steps = timings.slice(0, -1);
  const rate = (2 * 2048 ** 3) / median(timings.at(-1)!.times);
  const flops = flopsOf(options);
  console.log(
    `net ${table}, width ${width}, ${pixels} px, batch ${batch}, ${rounds} rounds of ${burst}, threads of an op ${threads ?? 'as a run has them'}`,
  );
  printTimings(steps, {
    'images/s': (ms) => ((batch / ms) * 1000).toFixed(1),
    'of matrix product': (ms) => `${((100 * flops) / ms / rate).toFixed(0)} %`,
  });
  console.log(
    `matrix product of 2048: ${(rate / 1e6).toFixed(1)} GFLOP/s; a step has ${(flops / 1e9).toFixed(1)} GFLOP`,
  );
  const result = { pytorch: pytorch?.version, settings: options, timings, ratios: ratios(steps), flops, rate };
  save(options.save, result);
}

/** The product of two 2048 × 2048 matrices. */
function matrixProduct(): Variant {
  const [a, b] = [tf.keep(tf.randomUniform([2048, 2048])), tf.keep(tf.randomUniform([2048, 2048]))];
  const multiply = () => {
    tf.slice(tf.matMul(a as tf.Tensor2D, b as tf.Tensor2D), [0, 0], [1, 1]).dataSync();
  };
  return { name: 'matrix product 2048', run: () => tf.tidy(multiply) };
}

/** Prints the memory of this process over many steps of a split net. */
export async function benchMemory(settings: NetSettings, steps: number, name?: string): Promise<void> {
  const { train, close } = await openStepper(settings, 'split');
  const samples: object[] = [];
  for (let step = 1; step <= steps; step++) {
    await train();
    if (step % 200 !== 0 && step !== 100) continue;
    const { rss, heapUsed, external } = process.memoryUsage();
    const [residentMiB, heapMiB, externalMiB] = [rss, heapUsed, external].map((bytes) => Math.round(bytes / 2 ** 20));
    samples.push({ step, residentMiB, heapMiB, externalMiB });
    console.log(`step ${step}: resident ${residentMiB} MiB, heap ${heapMiB} MiB, external ${externalMiB} MiB`);
  }
  await close();
  save(name, { settings, samples });
}
