/** Memory over many steps of a split: what grows. */
import { type NetSettings, openVariant } from './nets.js';
import { save } from './report.js';

/** Prints the process's memory every `every` steps. */
export async function benchMemory(settings: NetSettings, steps: number, every: number, name?: string): Promise<void> {
  const { team, variant } = await openVariant(settings, 'split');
  const samples: { step: number; residentMiB: number; heapMiB: number; externalMiB: number }[] = [];
  for (let step = 1; step <= steps; step++) {
    await variant.run();
    if (step % every !== 0 && step !== 100) continue;
    const { rss, heapUsed, external } = process.memoryUsage();
    const [residentMiB, heapMiB, externalMiB] = [rss, heapUsed, external].map((bytes) => Math.round(bytes / 2 ** 20));
    samples.push({ step, residentMiB: residentMiB!, heapMiB: heapMiB!, externalMiB: externalMiB! });
    console.log(`step ${step}: resident ${residentMiB} MiB, heap ${heapMiB} MiB, external ${externalMiB} MiB`);
  }
  await team.close();
  save(name, { settings, samples });
}
