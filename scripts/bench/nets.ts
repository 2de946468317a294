/** Teams that train a net on random images, for benchmarks. */
import { type Config, resolveConfig } from '../../src/config/config.js';
import { createSlot, slotViews } from '../../src/data/index.js';
import { buildNet } from '../../src/model/net.js';
import { summarize, totalsOf } from '../../src/model/summary.js';
import { listDevices } from '../../src/native/c/context.js';
import { bytesToAlignment } from '../../src/native/c/copy.js';
import { openTeam, type Team } from '../../src/train/team.js';
import type { Variant } from './report.js';

export interface NetSettings {
  table: string;
  width: number;
  pixels: number;
  classes: number;
  batch: number;
}

/** A config of that net; `placement/compile/ops/transport`, by default `on`, `native` and `msgpack` after the placement. */
export function configOf(settings: NetSettings, name: string): Config & { ops: 'native' | 'tfjs' } {
  const [placement, compile = 'on', ops = 'native', transport = 'msgpack'] = name.split('/');
  const machine = { devices: listDevices().map((device) => device.name), fashionMnist: false, now: new Date() };
  const { table, width, pixels, classes, batch } = settings;
  const values = {
    preset: 'fashion',
    ...{ placement, compile, batchSize: batch, seed: 1, exchange: { transport } },
    net: { table, width, inputSize: pixels, classes, init: 'he' },
    optimizer: { learningRate: 1e-4, schedule: { kind: 'constant' } },
  };
  return { ...resolveConfig([{ values }], machine).config, ops: ops as 'native' | 'tfjs' };
}

/** A team, and a variant that trains it a step. */
export async function openVariant(settings: NetSettings, name: string): Promise<{ team: Team; variant: Variant }> {
  const config = configOf(settings, name);
  const { pixels, batch, classes } = settings;
  const { inputChannels } = config.net;
  const slot = createSlot(batch, pixels, inputChannels, bytesToAlignment);
  const { images, labels } = slotViews(slot, batch, pixels, inputChannels);
  for (let i = 0; i < images.length; i++) images[i] = Math.random() * 2 - 1;
  for (let i = 0; i < batch; i++) labels[i] = i % classes;
  const team = await openTeam(config, [slot]);
  let step = 0;
  const run = async () => {
    step++;
    const rate = { learningRate: 1e-4, epoch: 1 };
    await team.ask({ kind: 'step', slot: 0, count: batch, step, ...rate, update: true, keep: false });
    return undefined;
  };
  return { team, variant: { name, run } };
}

/** Floating-point operations of one training step: forward once, backward twice but for the first layer's input. */
export function flopsOf(settings: NetSettings): number {
  const net = buildNet(configOf(settings, 'single').net);
  const rows = summarize(net, settings.batch);
  const [a, b] = totalsOf(rows).multiplyAdds;
  const first = rows.find(({ kind }) => kind === 'conv')!.multiplyAdds;
  return 2 * settings.batch * (3 * (a + b) - (first[0] + first[1]));
}
