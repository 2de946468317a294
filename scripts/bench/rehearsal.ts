/** `plan --data` against the runs that it speaks of: images per second of steps, for several settings. */
import { spawn } from 'node:child_process';
import { loadavg } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { table } from '../../src/cli/format.js';
import type { Rehearsed } from '../../src/cli/rehearse.js';
import { PRESETS } from '../../src/config/presets.js';
import { DEFAULT_QUALITY, openImages, packImages } from '../../src/data/index.js';
import { usableCores } from '../../src/limits.js';
import { median } from '../../src/numbers.js';
import { collect, inTemporaryFolder, startTrainer } from '../trainer.js';
import { CLASSES, writeImages } from './images.js';
import { save } from './report.js';

const CLI = fileURLToPath(new URL('../../src/cli.js', import.meta.url));
const IMAGES = 1500;

/** One that computes, two that wait for images, and one that reads none. */
const SETTINGS: readonly { name: string; flags: readonly string[]; images?: 'originals' | 'sized' }[] = [
  { name: 'half width, originals, split', flags: ['--width', '0.5'], images: 'originals' },
  {
    name: 'an eighth of the width, originals, single',
    flags: ['--width', '0.125', '--placement', 'single'],
    images: 'originals',
  },
  {
    name: 'an eighth of the width, JPEG shards, single',
    flags: ['--width', '0.125', '--placement', 'single'],
    images: 'sized',
  },
  { name: 'mini, embedded images, split', flags: [] },
];

/** Plans and trains each setting in turn, so many times; the medians count. */
export async function benchRehearsal(rounds: number, seconds: number, name?: string): Promise<void> {
  await inTemporaryFolder('bench', async (base) => {
    const folders = { originals: join(base, 'originals'), sized: join(base, 'sized') };
    await writeImages(folders.originals, IMAGES);
    const { resize, interpolation = 'lanczos' } = PRESETS.mini.data;
    const stored = { kind: 'jpeg', quality: DEFAULT_QUALITY, size: resize, interpolation } as const;
    const packing = { out: folders.sized, shardBytes: 2 ** 24, threads: usableCores(), stored };
    await packImages(openImages(folders.originals), packing);
    const found = SETTINGS.map((setting) => ({
      setting,
      planned: [] as number[],
      measured: [] as number[],
      limits: [] as string[],
    }));
    for (let round = 0; round < rounds; round++) {
      for (const [i, { setting, planned, measured, limits }] of found.entries()) {
        const source = setting.images && folders[setting.images];
        const images = source === undefined ? ['--data', 'embedded'] : ['--data', source, '--classes', `${CLASSES}`];
        const flags = ['--preset', 'mini', ...images, ...setting.flags];
        const { outlook } = await planOf([...flags, '--seconds', `${seconds}`]);
        const steps = Math.max(20, Math.ceil((1000 * seconds) / outlook.stepMs));
        const run = ['--out', base, '--run', `r${round}-${i}`, '--steps', `${steps}`, '--eval-every', `${steps}`];
        planned.push(outlook.imagesPerS);
        limits.push(outlook.limit);
        measured.push(await trained([...flags, ...run, '--no-check']));
        console.log(
          `${setting.name}: planned ${planned.at(-1)!.toFixed(0)}, measured ${measured.at(-1)!.toFixed(0)} images/s`,
        );
      }
    }
    const rows = found.map(({ setting, planned, measured, limits }) => {
      const [plannedRate, measuredRate] = [median(planned), median(measured)];
      const difference = plannedRate / measuredRate - 1;
      return { name: setting.name, limit: limits.at(-1)!, plannedRate, measuredRate, difference };
    });
    const header = ['setting', 'limit', 'planned images/s', 'measured images/s', 'difference'];
    const cells = rows.map(({ plannedRate, measuredRate, difference, ...each }) => [
      ...[each.name, each.limit, plannedRate.toFixed(0), measuredRate.toFixed(0)],
      `${difference >= 0 ? '+' : ''}${(100 * difference).toFixed(0)} %`,
    ]);
    for (const line of table(header, cells)) console.log(line);
    save(name, { rounds, seconds, images: IMAGES, load: loadavg()[1], rows });
  });
}

async function planOf(flags: readonly string[]): Promise<Pick<Rehearsed, 'outlook'>> {
  const child = spawn(process.execPath, [CLI, 'plan', ...flags, '--json'], { stdio: ['ignore', 'pipe', 'pipe'] });
  const { code, stdout, stderr } = await collect(child).ended;
  if (code !== 0) throw new Error(`plan ended with ${code}: ${stderr}`);
  return JSON.parse(stdout);
}

/** Images per second of the steps after the first quarter, in which functions are compiled and queues are full. */
async function trained(flags: readonly string[]): Promise<number> {
  const steps: { images: number; ms: number }[] = [];
  const { ended } = startTrainer(flags, (event) => {
    if (event.event === 'train_step') steps.push({ images: event.images, ms: event.step_ms });
  });
  const { exitCode, stderr } = await ended;
  if (exitCode !== 0) throw new Error(`train ended with ${exitCode}: ${stderr}`);
  const counted = steps.slice(steps.length >> 2);
  const total = (key: 'images' | 'ms') => counted.reduce((sum, each) => sum + each[key], 0);
  return (1000 * total('images')) / total('ms');
}
