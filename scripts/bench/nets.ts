/** Teams that train a net on random images, in this process or in one of their own. */
import { fork } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { type Config, resolveConfig } from '../../src/config/config.js';
import { opThreads } from '../../src/config/devices.js';
import { createSlot, slotViews } from '../../src/data/index.js';
import { usableCores } from '../../src/limits.js';
import { buildNet } from '../../src/model/net.js';
import { summarize, totalsOf } from '../../src/model/summary.js';
import { listDevices } from '../../src/native/c/context.js';
import { bytesToAlignment } from '../../src/native/c/copy.js';
import { openTeam } from '../../src/train/team.js';
import { isEntry } from '../trainer.js';
import type { Variant } from './report.js';

/** The first steps do not count: V8 has not compiled all functions yet, and collects the garbage of the start. */
export const WARMUP = 20;

export interface NetSettings {
  table: string;
  width: number;
  pixels: number;
  classes: number;
  /** Images of each replica. */
  batch: number;
  /** Default 1. */
  replicas?: number;
  average?: 'copies' | 'collective';
}

/** @param name `placement/compile/ops/transport`. Only the placement has no default. */
export function configOf(settings: NetSettings, name: string): Config & { ops: 'native' | 'tfjs' } {
  const [placement, compile = 'on', ops = 'native', transport = 'msgpack'] = name.split('/');
  const machine = { devices: listDevices().map((device) => device.name), fashionMnist: false, now: new Date() };
  const { table, width, pixels, classes, batch, replicas = 1, average = 'copies' } = settings;
  const values = {
    preset: 'fashion',
    ...{ placement, compile, batchSize: batch, replicas, average, seed: 1, exchange: { transport } },
    net: { table, width, inputSize: pixels, classes, init: 'he' },
    optimizer: { learningRate: 1e-4, schedule: { kind: 'constant' } },
  };
  return { ...resolveConfig([{ values }], machine).config, ops: ops as 'native' | 'tfjs' };
}

/** Starts a team. @returns what trains a step, and what ends the team. */
export async function openStepper(settings: NetSettings, name: string) {
  const config = configOf(settings, name);
  const { pixels, classes, replicas = 1 } = settings;
  const batch = settings.batch * replicas;
  const { inputChannels } = config.net;
  const normalization = {
    inputChannels,
    mean: Array<number>(inputChannels).fill(127.5),
    scale: 1 / 127.5,
    noise: false,
  };
  const layout = { batchSize: batch, inputSize: pixels, channels: inputChannels, normalization };
  const slot = createSlot(layout, bytesToAlignment);
  const { images, labels } = slotViews(slot, layout);
  for (let i = 0; i < images.length; i++) images[i] = Math.random() * 256;
  for (let i = 0; i < batch; i++) labels[i] = i % classes;
  const team = await openTeam(config, { slots: [slot], layout });
  const rate = { learningRate: 1e-4, epoch: 1 };
  let step = 0;
  const train = (isTraced = false) => {
    step++;
    const trace = isTraced && { trace: true };
    return team.ask({ kind: 'step', slot: 0, count: batch, step, ...rate, update: true, keep: false, ...trace });
  };
  return { train, close: () => team.close() };
}

/**
 * Starts a variant in a process of its own, as a user's run has one: TensorFlow has one context per process, with one number
 * of threads.
 * @param named `placement/compile/ops/transport@threads`, where `threads` is the number of threads for one op.
 * @param threads for variants that name no number. The default is that of a run.
 */
export async function startVariant(
  settings: NetSettings,
  named: string,
  threads?: number,
): Promise<Variant & { close(): void }> {
  const [name, own = threads] = named.split('@');
  const child = fork(fileURLToPath(import.meta.url), [JSON.stringify(settings), name!], {
    env: { ...process.env, ...(own !== undefined && { TF_NUM_INTRAOP_THREADS: String(own) }) },
  });
  const ended = once(child, 'exit').then(([code]) => Promise.reject(new Error(`${named} ended with ${code}`)));
  const answer = () => Promise.race([once(child, 'message').then(([ms]) => ms as number), ended]);
  const run = () => {
    child.send('step');
    return answer();
  };
  const close = () => {
    ended.catch(() => {}); // the end is expected
    child.kill();
  };
  await answer();
  return { name: named, run, close };
}

/** Floating-point operations of a training step: forward once, backward twice, but the first layer's input has no gradient. */
export function flopsOf(settings: NetSettings): number {
  const net = buildNet(configOf(settings, 'single').net);
  const rows = summarize(net, settings.batch);
  const [a, b] = totalsOf(rows).multiplyAdds;
  const first = rows.find(({ kind }) => kind === 'conv')!.multiplyAdds;
  return 2 * settings.batch * (3 * (a + b) - (first[0] + first[1]));
}

if (isEntry(import.meta.url)) {
  const [json, name] = process.argv.slice(2) as [string, string];
  const settings = JSON.parse(json) as NetSettings;
  const { replicas = 1 } = settings;
  listDevices({ intraOpThreads: opThreads(settings.table, usableCores(), replicas), cpus: Math.max(2, 2 * replicas) });
  const { train } = await openStepper(settings, name);
  for (let i = 0; i < WARMUP; i++) await train();
  process.on('message', async () => {
    const started = performance.now();
    await train();
    process.send!(performance.now() - started);
  });
  process.send!(0);
}
