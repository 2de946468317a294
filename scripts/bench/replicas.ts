/** Training steps by the number of replicas and by how they average, in turn: images per second. */
import { type NetSettings, startVariant } from './nets.js';
import { interleave, printTimings, ratios, save } from './report.js';

export interface ReplicaOptions extends NetSettings {
  placement: string;
  /** `K` or `K/average`; `1*K` is one replica with a batch K times as large. */
  variants: readonly string[];
  rounds: number;
  /** Steps of a variant per round. */
  burst: number;
  save?: string | undefined;
}

/** Times are those of as many images as a replica has, so that all variants compare. */
export async function benchReplicas(options: ReplicaOptions): Promise<void> {
  const { table, width, pixels, classes, batch, placement, variants, rounds, burst } = options;
  const ours = [];
  for (const name of variants) {
    const [, replicas, times = '1', average = 'copies'] =
      /^(\d+)(?:\*(\d+))?(?:\/(copies|collective))?$/.exec(name) ?? [];
    if (replicas === undefined) throw new Error(`there is no variant ${name}; name one as 2, 2/collective or 1*2`);
    const parts = { replicas: Number(replicas), average: average as 'copies' | 'collective' };
    const settings = { table, width, pixels, classes, batch: batch * Number(times), ...parts };
    const started = await startVariant(settings, placement);
    const share = parts.replicas * Number(times);
    ours.push({ ...started, name, run: async () => ((await started.run()) as number) / share });
  }
  const timings = await interleave(ours, rounds, 2, burst);
  for (const each of ours) each.close();
  console.log(
    `net ${table}, width ${width}, ${pixels} px, ${placement}, ${batch} images a replica, ${rounds} rounds of ${burst}; times are of ${batch} images`,
  );
  printTimings(timings, { 'images/s': (ms) => ((batch / ms) * 1000).toFixed(1) });
  save(options.save, { settings: options, timings, ratios: ratios(timings) });
}
