import assert from 'node:assert/strict';
import fs from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test, { after } from 'node:test';
import type { Config } from '../../src/config/config.js';
import { PRESETS } from '../../src/config/presets.js';
import type { EventOf, LogEvent } from '../../src/log.js';
import { lowerRate } from '../../src/train/advice.js';
import { openWatch } from '../../src/train/watch.js';
import { ACTIVATIONS, RUN_START, trainStep } from '../events.js';

const out = fs.mkdtempSync(join(tmpdir(), 'alexnet-split-advice-'));
after(() => fs.rmSync(out, { recursive: true, force: true }));
const at = (step: number) => join(out, 'r', 'checkpoints', String(step).padStart(10, '0'));
for (const step of [100, 200, 300]) fs.mkdirSync(at(step), { recursive: true });

const CONFIG: Config = { ...PRESETS.mini, devices: ['CPU:0', 'CPU:1'], run: 'r', out };

test('lowerRate() names the newest checkpoint from before, a name that is free and a tenth of the rate', () => {
  const flags = (step: number, name: string) => `--resume ${at(step)} --run ${name} --out ${out} --lr 0.002`;
  assert.equal(lowerRate(CONFIG, 0.02, 250), `go on with ${flags(200, 'r-lower')}`);
  assert.equal(lowerRate(CONFIG, 0.02, undefined), `go on with ${flags(100, 'r-lower')}`);
  fs.mkdirSync(join(out, 'r-lower'));
  assert.equal(lowerRate(CONFIG, 0.02, 300), `go on with ${flags(300, 'r-lower-2')}`);
  fs.rmdirSync(join(out, 'r-lower'));
  assert.equal(
    lowerRate(CONFIG, 0.02, 99),
    `begin anew, with --run r-lower --out ${out} --lr 0.002 beside the other flags`,
  );
  assert.equal(
    lowerRate({ out: PRESETS.mini.out, run: 'no-such' }, 0.5, 9),
    'begin anew, with --run no-such-lower --lr 0.05 beside the other flags',
  );
});

/** The warnings of a training at a rate of 0.02. */
function warned(events: readonly LogEvent[]): string[] {
  const heard: LogEvent[] = [];
  const watch = openWatch(CONFIG, (event) => heard.push(event));
  for (const event of [RUN_START, ...events]) watch.report(event);
  return heard.flatMap((event) => (event.event === 'warning' ? [event.message] : []));
}

const steps = (from: number, to: number, loss: number) =>
  Array.from({ length: to - from }, (_, i) => trainStep(from + i + 1, { loss, top1: 0.1, images: 64 }));

test('openWatch() ends warnings that advise a lower rate with what to type, of a checkpoint when all was well', () => {
  const goOn = (step: number) => new RegExp(`; go on with --resume ${at(step)} --run r-lower --out ${out} --lr 0.002$`);
  const [collapse] = warned([...steps(0, 250, 1.2), ...steps(250, 400, 2.31)]);
  assert.match(collapse!, /^the net has unlearnt what it knew/);
  assert.match(collapse!, goOn(200));
  const [rises] = warned([...steps(0, 305, 1.2), ...steps(305, 320, 9)]);
  assert.match(rises!, /^the loss rises/);
  assert.match(rises!, goOn(300));
  const measured = (step: number, dead: number): EventOf<'activations'> => {
    const layers = ACTIVATIONS.layers.map((each) => (each.dead === undefined ? each : { ...each, dead }));
    return { ...ACTIVATIONS, step, layers };
  };
  const trained = steps(0, 5, 1);
  const [dies] = warned([measured(0, 0), ...trained, measured(150, 0), measured(250, 32)]);
  assert.match(dies!, /^most units are dead/);
  assert.match(dies!, goOn(100));
  const [early] = warned([measured(0, 0), ...trained, measured(50, 32)]);
  assert.match(early!, /; begin anew, with --run r-lower --out \S+ --lr 0\.002 beside the other flags$/);
  const [atOnce] = warned([measured(0, 32)]);
  assert.doesNotMatch(atOnce!, /--resume|begin anew/, 'no step was done');
});
