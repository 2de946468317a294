/** Every way to cross computes the same. */
import '../faults/workers.js';
import assert from 'node:assert/strict';
import fs from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test, { after } from 'node:test';
import koffi from 'koffi';
import type { Config } from '../../src/config/config.js';
import { createSlot, floatLayout } from '../../src/data/index.js';
import type { LogEvent } from '../../src/log.js';
import { train, verify } from '../../src/train/index.js';
import { openTeam } from '../../src/train/team.js';
import { fewImages } from '../data/sets.js';
import { withFault } from '../faults/fault.js';
import { ON_GPU, smallConfig, smallNet } from './teams.js';

const folder = fs.mkdtempSync(join(tmpdir(), 'alexnet-split-exchange-'));
after(() => fs.rmSync(folder, { recursive: true, force: true }));
const quiet = { print: () => {} };

test('verify() passes with --compile off', async () => {
  const { passed, firstDivergent } = await verify(
    smallConfig({ ...smallNet('paper'), compile: 'off' }),
    { steps: 2 },
    quiet,
  );
  assert.deepEqual([passed, firstDivergent], [true, undefined]);
});

test('verify() passes with --exchange device, bit for bit', async () => {
  const config = smallConfig({ ...smallNet('original'), exchange: { transport: 'device' } });
  const { passed, rows } = await verify(config, { steps: 2 }, quiet);
  assert.equal(passed, true);
  assert.ok(rows.every(({ absolute }) => absolute === 0));
});

test('verify() passes with --exchange-dtype float16 within its own tolerance, and is not exact', async () => {
  const config = smallConfig({ ...smallNet('original'), exchange: { dtype: 'float16' } });
  const { passed, rows, firstDivergent } = await verify(config, { steps: 2 }, quiet);
  assert.deepEqual([passed, firstDivergent], [true, undefined]);
  const input = rows.find(({ name }) => name === 'tower0/conv3/input')!;
  assert.ok(input.relative > 1e-5, 'values were rounded on the way');
});

test('train() falls back to msgpack if the device transport delivers wrong values, and says so', async () => {
  const events: LogEvent[] = [];
  const config = smallConfig({
    ...{ ...smallNet('lenet', fewImages(folder)), out: folder, run: 'fallback', steps: 2, check: true },
    exchange: { transport: 'device' },
  });
  const ui = { report: (event: LogEvent) => events.push(event), signal: new AbortController().signal };
  const { exitCode } = await withFault('wrong-bytes@device', () => train(config, ui));
  assert.equal(exitCode, 0);
  const warning = events.find(({ event }) => event === 'warning') as Extract<LogEvent, { event: 'warning' }>;
  assert.match(warning.message, /uses msgpack: the self-test of the device transport failed \(forward at conv2\)/);
  assert.ok(events.some((event) => event.event === 'check' && event.passed));
});

for (const kind of ['evaluate', 'measure'] as const) {
  test(`with --exchange-checksum the first ${kind} of a team finds a flipped bit, before any step`, async () => {
    const found: unknown[] = [];
    for (const checksum of [true, false]) {
      const config = smallConfig({ ...smallNet('lenet'), exchange: { checksum } });
      const { inputSize, inputChannels } = config.net;
      const layout = floatLayout(config.batchSize, inputSize, inputChannels);
      const slot = createSlot(layout);
      const team = await withFault('flipped@conv2:1', () => openTeam(config, { slots: [slot], layout }));
      try {
        found.push(
          await team.ask({ kind, slot: 0, count: config.batchSize, step: 1 }).then(
            () => 'done',
            ({ message }: Error) => message,
          ),
        );
      } finally {
        await team.close();
      }
    }
    assert.match(
      `${found[0]}`,
      /^Cannot continue at conv2 \(forward, step 1\) in tower 0: the values are not those that/,
    );
    assert.equal(found[1], 'done');
  });
}

test('a step says what it sent where, with every transport, and it sums to what it sent', async () => {
  const halves: number[] = [];
  const ways = [
    { exchange: { transport: 'msgpack' } },
    { exchange: { transport: 'device' } },
    { exchange: { transport: 'msgpack' }, compile: 'off' },
    { exchange: { transport: 'msgpack', dtype: 'float16' } },
  ];
  for (const way of ways) {
    const config = smallConfig({ ...smallNet('lenet'), ...way });
    const { inputSize, inputChannels } = config.net;
    const layout = floatLayout(config.batchSize, inputSize, inputChannels);
    const slot = createSlot(layout);
    const team = await openTeam(config, { slots: [slot], layout });
    try {
      const rate = { epoch: 1, learningRate: 1e-6, update: true, keep: false };
      for (const bySite of [true, false]) {
        const replies = await team.ask({ kind: 'step', slot: 0, count: 8, step: bySite ? 1 : 2, ...rate, bySite });
        for (const { sent, exchangeBytes } of replies) {
          if (!bySite) assert.equal(sent, undefined);
          else assert.equal(sum(sent!.map(({ bytes }) => bytes)), exchangeBytes);
        }
        if (bySite) halves.push(sum(replies.flatMap(({ sent }) => sent!.filter(isValue).map(({ bytes }) => bytes))));
      }
    } finally {
      await team.close();
    }
  }
  const [float32, device, opByOp, float16] = halves;
  assert.equal(float32, opByOp);
  assert.ok(Math.abs(device! - float32!) < 0.01 * float32!, `${device} and ${float32}: the same values`);
  assert.ok(Math.abs(float16! / float32! - 0.5) < 0.02, `${float16} is half of ${float32}`);
});

/** Not the norm of the gradients. */
const isValue = ({ site }: { site: string }) => site !== 'gradients';
const sum = (values: readonly number[]) => values.reduce((total, value) => total + value, 0);

/** What a verification does with its teams, but for the comparison, which takes most of its seconds. */
async function comeAndGo(config: Config): Promise<void> {
  const { inputSize, inputChannels } = config.net;
  const layout = floatLayout(config.batchSize, inputSize, inputChannels);
  const slot = createSlot(layout);
  for (const placement of ['split', 'single'] as const) {
    const team = await openTeam({ ...config, placement }, { slots: [slot], layout });
    const rate = { epoch: 1, learningRate: 1e-6, update: true };
    for (const keep of [true, false])
      await team.ask({ kind: 'step', slot: 0, count: config.batchSize, step: keep ? 1 : 2, ...rate, keep });
    await team.close();
  }
}

/** The MiB that the program has from the C library's allocator; undefined where that cannot be asked. */
function allocatedMiB(): number | undefined {
  if (process.platform !== 'linux') return undefined;
  const names = ['arena', 'ordblks', 'smblks', 'hblks', 'hblkhd', 'usmblks', 'fsmblks', 'uordblks', 'fordblks', 'keep'];
  const state = koffi.struct(Object.fromEntries(names.map((name) => [name, 'uint'])));
  const { hblkhd, uordblks } = koffi.load('libc.so.6').func('mallinfo', state, [])();
  return (hblkhd + uordblks) / 2 ** 20;
}

test('openTeam() and close() leave nothing on the device', async () => {
  // The process's memory includes what the allocator keeps, which comes and goes: that takes a larger net and more rounds.
  const isExact = !ON_GPU && allocatedMiB() !== undefined;
  const measure = () => (isExact ? allocatedMiB()! : process.memoryUsage.rss() / 2 ** 20);
  // 5 or 20 million parameters: a team that stayed would be 40 or 160 MB with its velocities, and more with gradients.
  const [width, rounds, allowed] = isExact ? [0.5, 3, 20] : [1, 5, 450];
  const net = { table: 'paper', width, inputSize: 67, inputChannels: 3, init: 'he' };
  const config = smallConfig({ net, data: { mean: [73, 73, 73], workers: 0 }, batchSize: 2 });
  const used: number[] = [];
  for (let i = 0; i < rounds; i++) {
    await comeAndGo(config);
    used.push(measure());
  }
  // The first round loads what stays. Each later one leaves a few MiB of its threads' modules.
  const grown = used.at(-1)! - used[1]!;
  assert.ok(
    grown < allowed,
    `${grown.toFixed(0)} MiB more after ${rounds - 2} times two teams: ${used.map(Math.round)}`,
  );
});
