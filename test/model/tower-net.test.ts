import assert from 'node:assert/strict';
import { before, test } from 'node:test';

import tf = require('@tensorflow/tfjs');

import type { Gather } from '../../src/model/forward.js';
import { type NetOptions, type TowerIndex, volume } from '../../src/model/net.js';
import { referenceForward } from '../../src/model/reference.js';
import { runSegment, segmentsOf } from '../../src/model/segments.js';
import { towerForward } from '../../src/model/tower-net.js';
import { imagesFor, runFor, tinyNet } from './draws.js';

before(() => tf.setBackend('cpu'));

function assertClose(found: tf.Tensor, expected: tf.Tensor, what: string): void {
  assert.deepEqual(found.shape, expected.shape, what);
  const distance = tf.max(tf.abs(tf.sub(found, expected))).dataSync()[0]!;
  const largest = tf.max(tf.abs(expected)).dataSync()[0]!;
  assert.ok(distance <= 1e-5 * largest, `${what}: ${distance} of ${largest}`);
}

/** Runs one tower with what the reference computed in the peer's place; asserts that each half it sends is right. */
function runTower(table: NetOptions['table'], tower: TowerIndex, training: boolean) {
  const net = tinyNet(table);
  const images = imagesFor(net);
  const reference = runFor(net, training);
  const logits = referenceForward(net, images, reference.run);
  const inputs = new Map(
    reference.captured.filter(({ kind }) => kind === 'input').map((each) => [each.layer, each.tensor]),
  );
  const sites: string[] = [];
  const gather: Gather = (own, site) => {
    sites.push(site.name);
    assert.equal(own.size, 2 * volume(site.shape), 'a site has the shape of what one tower sends');
    const whole = inputs.get(site.name)!;
    const half = tf.split(whole, 2, whole.rank - 1)[tower]!;
    assertClose(own, half, `${table} tower${tower} at ${site.name}`);
    return site.home !== undefined && site.home !== tower ? tf.scalar(0) : whole;
  };
  const { run, captured } = runFor(net, training);
  // A tower has its own parameters alone.
  const parameters = new Map([...run.parameters].filter(([name]) => name.startsWith(`tower${tower}/`)));
  const output = towerForward(segmentsOf(net), tower, images, gather, (segment, x) =>
    runSegment(segment, tower, x, { ...run, parameters }),
  );
  return { output, logits, captured, reference: reference.captured, sites };
}

for (const table of ['original', 'paper', 'columns', 'tutorial', 'lenet'] as const) {
  for (const tower of [0, 1] as const) {
    test(`towerForward() tower ${tower} of ${table} computes what the reference has of it, in the same order`, () => {
      for (const training of [true, false]) {
        const { output, logits, captured, reference } = runTower(table, tower, training);
        const own = reference.filter(({ name }) => name.startsWith(`tower${tower}/`));
        assert.deepEqual(
          captured.map(({ name, kind, layer }) => ({ name, kind, layer })),
          own.map(({ name, kind, layer }) => ({ name, kind, layer })),
        );
        for (const [i, { name, tensor }] of captured.entries()) assertClose(tensor, own[i]!.tensor, name);
        if (tower === 0) {
          assert.ok('output' in output);
          assertClose(output.output, logits, 'logits');
        } else {
          assert.ok('sent' in output);
          assert.deepEqual(output.sent.shape, []);
        }
      }
    });
  }
}

test('towerForward() crosses at the sites of 2012', () => {
  assert.deepEqual(runTower('original', 0, true).sites, ['conv3', 'fc6', 'fc7', 'fc8']);
  assert.deepEqual(runTower('original', 1, true).sites, ['conv3', 'fc6', 'fc7', 'fc8']);
});

test('towerForward() needs no capture', () => {
  const net = tinyNet('lenet');
  const { run } = runFor(net, true);
  const { capture: _, ...bare } = run;
  const gather: Gather = (own) => tf.concat([own, own], own.rank - 1);
  const end = towerForward(segmentsOf(net), 0, imagesFor(net), gather, (segment, x) => runSegment(segment, 0, x, bare));
  assert.ok('output' in end);
  assert.deepEqual(end.output.shape, [2, 5]);
});
