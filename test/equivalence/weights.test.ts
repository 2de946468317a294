/** Weights go out and in again, and a training starts from them. */
import assert from 'node:assert/strict';
import fs from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test, { after } from 'node:test';
import { chooseWeights } from '../../src/checkpoint/choose.js';
import type { EventOf, LogEvent } from '../../src/log.js';
import { buildNet } from '../../src/model/net.js';
import { evaluateRun, train } from '../../src/train/index.js';
import { exportWeights } from '../../src/weights/export.js';
import { openImport, writeRun } from '../../src/weights/import.js';
import { fewImages } from '../data/sets.js';
import { SINGLE, smallConfig, smallNet } from './teams.js';

const out = fs.mkdtempSync(join(tmpdir(), 'alexnet-split-weights-'));
after(() => fs.rmSync(out, { recursive: true, force: true }));

const FEW = fewImages(out);

async function run(values: Record<string, unknown>) {
  const config = smallConfig({ ...smallNet('original', FEW), out, ...values });
  const events: LogEvent[] = [];
  const result = await train(config, { report: (each) => events.push(each), signal: new AbortController().signal });
  const last = <Name extends LogEvent['event']>(name: Name) =>
    events.findLast((each): each is EventOf<Name> => each.event === name)!;
  return { config, result, last };
}

const trained = await run({ run: 'trained', steps: 30 });

test('a run that was exported and imported again has the same loss, to the last bit', async () => {
  const net = buildNet(trained.config.net);
  const file = join(out, 'net.safetensors');
  exportWeights(net, chooseWeights(join(out, 'trained')).files, file, {});
  const folder = join(out, 'imported');
  fs.mkdirSync(folder);
  const source = openImport(file, net, 'rgb');
  writeRun(source, net, folder, 2, {});
  source.close();
  const scores = await evaluateRun(trained.config, folder);
  const { step, checkpoint, ...own } = await evaluateRun(trained.config, join(out, 'trained'));
  assert.deepEqual([scores, step, checkpoint !== undefined], [own, 30, true]);
  assert.equal(scores.loss, trained.last('eval').loss);
});

test('train() starts from the weights of another run, by name, path or exported file, and the check does too', async () => {
  const still = { learningRate: 1e-12, momentum: 0, weightDecay: 0 };
  const split = { check: true };
  for (const [weights, how] of [
    ['trained', split],
    [`${join(out, 'trained')}/`, SINGLE],
    [join(out, 'net.safetensors'), split],
  ] as const) {
    const { config, result, last } = await run({ run: 'from', steps: 1, weights, optimizer: still, ...how });
    assert.equal(result.exitCode, 0);
    if (config.check) assert.equal(last('check').passed, true);
    assert.equal(config.check, how === split);
    fs.rmSync(join(out, 'from'), { recursive: true });
    const [before, now] = [trained.last('eval').loss, last('eval').loss];
    assert.ok(Math.abs(before - now) < 1e-5, `${before} became ${now}`);
    assert.ok(Math.abs(before - Math.log(10)) > 0.01, 'the run had learned nothing');
  }
});

test('train() refuses the weights of another net, or of no run', async () => {
  const wrong = { run: 'wrong', steps: 1 };
  const net = { ...(smallNet('original', FEW).net as object), width: 0.25 };
  await assert.rejects(
    run({ ...wrong, net, weights: 'trained' }),
    /conv1\/kernel has the shape \[11,11,3,6\] there, and/,
  );
  const file = join(out, 'net.safetensors');
  await assert.rejects(
    run({ ...wrong, net, weights: file }),
    /conv1\.weight is \[12,3,11,11\] and \[24,3,11,11\] in the/,
  );
  await assert.rejects(
    run({ ...wrong, weights: 'no-such', data: { source: join(out, 'none') } }),
    /^ConfigError: Cannot start from the weights no-such: \S*no-such does not exist, expected the name or the path of a run,/,
  );
});
