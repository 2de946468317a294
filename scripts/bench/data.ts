/** Images per second out of the data room, by number of threads. */
import { PRESETS } from '../../src/config/presets.js';
import { loadDataset, openFeeder } from '../../src/data/index.js';
import { interleave, printTimings, save } from './report.js';

/** Prints how fast batches of a preset are filled, with nothing else to do. */
export async function benchData(preset: 'mini' | 'fashion' | 'tutorial', rounds: number, name?: string): Promise<void> {
  const { net, data, batchSize, seed } = PRESETS[preset];
  const { inputSize, inputChannels } = net;
  const dataset = loadDataset('embedded', net.classes);
  const feeders = [0, 1, 2, 4].map((workers) => ({
    workers,
    feeder: openFeeder({ dataset, batchSize, inputSize, inputChannels, seed, data: { ...data, workers } }),
  }));
  const timings = await interleave(
    feeders.map(({ workers, feeder }) => {
      let step = 0;
      const run = async () => {
        for (let i = 0; i < 8; i++) feeder.release(await feeder.train(++step));
        return undefined;
      };
      return { name: `${workers} threads, 8 batches`, run };
    }),
    rounds,
  );
  for (const { feeder } of feeders) await feeder.close();
  console.log(`preset ${preset}: ${inputSize} px, ${inputChannels} channels, batch ${batchSize}`);
  printTimings(timings, { 'images/s': (ms) => ((8 * batchSize * 1000) / ms).toFixed(0) });
  save(name, { preset, timings });
}
