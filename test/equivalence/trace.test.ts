/** Traced steps of real runs: the event, the file, and that a trace changes nothing. */
import assert from 'node:assert/strict';
import fs from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test, { after } from 'node:test';
import type { EventOf, LogEvent } from '../../src/log.js';
import { buildNet, isWeighted } from '../../src/model/net.js';
import { profilerMissing } from '../../src/native/c/profiler.js';
import { train } from '../../src/train/index.js';
import { fewImages } from '../data/sets.js';
import { ROOT } from '../native/child.js';
import { jq } from '../tools.js';
import { lanesIn, readByDevTools } from '../train/trace/read.js';
import { of } from './resumed-runs.js';
import { ON_GPU, SINGLE, smallConfig, smallNet } from './teams.js';

const folder = fs.mkdtempSync(join(tmpdir(), 'alexnet-split-trace-'));
after(() => fs.rmSync(folder, { recursive: true, force: true }));

const FEW = fewImages(folder);
const NET = { ...smallNet('original', FEW), steps: 5, evalEvery: 0 };

async function run(values: Record<string, unknown>) {
  const config = smallConfig({ ...NET, out: folder, ...values });
  const events: LogEvent[] = [];
  await train(config, { report: (event) => events.push(event), signal: new AbortController().signal });
  const files = fs.readdirSync(join(folder, config.run));
  const weights = files.filter((name) => name.endsWith('.safetensors'));
  return { config, events, weights: weights.map((name) => fs.readFileSync(join(folder, config.run, name))) };
}

function sumOf(values: Record<string, number>): number {
  return Object.values(values).reduce((total, each) => total + each, 0);
}

/** Checks what holds for every trace, and reads its file. */
function checked(trace: EventOf<'trace'>, events: readonly LogEvent[], name: string) {
  const step = of(events, 'train_step').find((each) => each.step === trace.step)!;
  assert.equal(trace.step_ms, step.step_ms);
  const lanes = lanesIn(JSON.parse(fs.readFileSync(join(folder, name, trace.file!), 'utf8')));
  for (const { parts_ms, hidden_exchange_ms, spans } of trace.towers) {
    assert.ok(Math.abs(sumOf(parts_ms) - step.step_ms) < 0.05 * step.step_ms, `${sumOf(parts_ms)}`);
    assert.ok(Object.values(parts_ms).every((each) => each >= 0));
    assert.ok(hidden_exchange_ms >= 0 && hidden_exchange_ms <= step.step_ms);
    assert.ok(spans.length <= 120);
    for (const { start_ms, ms } of spans) assert.ok(start_ms >= -0.01 && start_ms + ms <= step.step_ms + 0.01);
  }
  return { step, lanes };
}

let traced: Awaited<ReturnType<typeof run>>;

const noOps = profilerMissing() ?? false;
/** Stand-in GPUs have no kernels that the profiler could report, so their passes are seen as a whole. */
const SOURCE = ON_GPU ? 'host' : 'profiler';

test('a traced step has the ops of each layer, by tower, and its parts add up to the step', {
  skip: noOps,
}, async () => {
  traced = await run({ run: 'traced', traceSteps: '3,5' });
  const traces = of(traced.events, 'trace');
  assert.deepEqual(
    traces.map(({ step }) => step),
    [3, 5],
  );
  const names = traced.events.map(({ event }) => event).filter((name) => name !== 'warning');
  assert.equal(names[names.indexOf('trace') - 1], 'train_step');
  for (const trace of traces) {
    const { lanes } = checked(trace, traced.events, 'traced');
    assert.equal(trace.source, SOURCE);
    assert.equal(trace.file, `traces/step-${trace.step}.json`);
    for (const { tower, spans, parts_ms } of trace.towers) {
      if (ON_GPU) {
        assert.ok(parts_ms.pass > 0 && parts_ms.forward + parts_ms.backward === 0);
        continue;
      }
      const layers = buildNet(traced.config.net).layers.filter(isWeighted);
      const own = layers.filter(({ towers }) => towers.includes(tower as 0 | 1)).map(({ name }) => name);
      for (const part of ['forward', 'backward', 'update'] as const) {
        const found = new Set(
          spans.filter((each) => each.part === part && each.lane === 'function').map(({ layer }) => layer),
        );
        assert.deepEqual(
          own.filter((layer) => !found.has(layer)),
          [],
          `${part} of tower ${tower}`,
        );
        assert.ok(parts_ms[part] > 0);
      }
      assert.equal(parts_ms.pass, 0);
      assert.ok(
        spans.every(({ part }) => part !== 'pass'),
        'the ops say more than the whole',
      );
      const arrived = spans.filter(({ name }) => name.startsWith('receive')).map(({ layer }) => layer);
      assert.ok(arrived.includes('conv3') && arrived.includes('fc7'), `${arrived}`);
      const ops = lanes.filter(({ process, lane }) => process === `tower ${tower}` && lane.startsWith('tf_Compute'));
      assert.ok(
        ops.flatMap((each) => each.spans).some(({ name, args }) => args?.layer === 'conv1' && /Conv2D/.test(name)),
      );
    }
  }
});

test('a trace changes neither losses nor weights', { skip: noOps }, async () => {
  const plain = await run({ run: 'plain' });
  assert.deepEqual(of(plain.events, 'trace'), []);
  const losses = (events: readonly LogEvent[]) => of(events, 'train_step').map(({ loss }) => loss);
  assert.deepEqual(losses(traced.events), losses(plain.events));
  assert.equal(traced.weights.length, 2);
  assert.deepEqual(traced.weights, plain.weights);
});

test('op by op, a traced step has the layers as the thread runs them, and says so', async () => {
  const { events } = await run({ run: 'by-op', traceSteps: '2', steps: 2, compile: 'off' });
  const [trace] = of(events, 'trace');
  const { lanes } = checked(trace!, events, 'by-op');
  assert.equal(trace!.source, 'host');
  for (const { spans, parts_ms } of trace!.towers) {
    const found = spans.filter(({ lane }) => lane === 'thread').map(({ part, layer }) => `${layer} ${part}`);
    for (const each of ['conv1 forward', 'conv1 backward', 'fc7 backward', 'conv1 update'])
      assert.ok(found.includes(each), each);
    assert.ok(parts_ms.forward > 0 && parts_ms.backward > 0 && parts_ms.pass === 0);
    const last = Math.max(...spans.filter(({ part }) => part === 'forward').map(({ start_ms }) => start_ms));
    const early = spans.filter(({ part, start_ms }) => part === 'backward' && start_ms < last);
    assert.deepEqual(
      early.map(({ layer }) => layer),
      ['gradients'],
      'what is between two layers of the forward pass is no gradient',
    );
  }
  assert.equal(lanes.filter(({ lane }) => lane.startsWith('thread of tower')).length, 2);
  const warnings = of(events, 'warning').map(({ message }) => message);
  assert.deepEqual(warnings, [
    "the trace shows what the towers' threads can see: with --compile off, they run op by op",
  ]);
});

test('a traced step of the whole net has one tower, which exchanges nothing', {
  skip: noOps,
}, async () => {
  const { events } = await run({ run: 'single', ...SINGLE, traceSteps: '2', steps: 2 });
  const [trace] = of(events, 'trace');
  checked(trace!, events, 'single');
  const [{ parts_ms, hidden_exchange_ms }] = trace!.towers as [EventOf<'trace'>['towers'][number]];
  assert.deepEqual([trace!.source, trace!.towers.length], [SOURCE, 1]);
  assert.deepEqual([parts_ms.exchange, parts_ms.wait, hidden_exchange_ms], [0, 0, 0]);
  assert.ok(ON_GPU ? parts_ms.pass > 0 : parts_ms.forward > 0 && parts_ms.backward > 0);
});

const devTools = await readByDevTools();

test("the engine of Chrome's developer tools reads the file of a real step, each span of it", {
  skip: noOps || ('skip' in devTools && devTools.skip),
}, async () => {
  assert.ok('tool' in devTools);
  const text = fs.readFileSync(join(folder, 'traced', 'traces', 'step-5.json'), 'utf8');
  const read = await devTools.tool(text);
  const lanes = lanesIn(JSON.parse(text)).filter(({ spans }) => spans.length > 0);
  assert.deepEqual(Object.values(read.lanes).sort(), lanes.map(({ spans }) => spans.length).sort());
  assert.ok(read.arrows > 10, `${read.arrows}`);
});

const query = await jq();

test('the line of jq in docs/tracing.md prints the slowest layers of each tower', {
  skip: noOps || ('skip' in query && query.skip),
}, async () => {
  assert.ok('tool' in query);
  const page = fs.readFileSync(join(ROOT, 'docs', 'tracing.md'), 'utf8');
  const filter = /jq -r '([^']+)'/.exec(page)![1]!;
  const printed = await query.tool(traced.events.map((event) => JSON.stringify(event)).join('\n'), filter, ['-r']);
  const found = printed.trim().split('\n');
  const steps = ON_GPU ? [] : ['step 3, tower 0', 'step 3, tower 1', 'step 5, tower 0', 'step 5, tower 1'];
  assert.deepEqual([...new Set(found.map((line) => line.split(':')[0]!))].filter(Boolean), steps);
  if (ON_GPU) return;
  assert.equal(found.length, 5 * steps.length);
  for (const line of found) assert.match(line, /: \w+ (forward|backward|exchange|update) [\d.]+ ms$/);
});
