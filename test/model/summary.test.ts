/** Costs of a net, compared with independent counts. */
import assert from 'node:assert/strict';
import test from 'node:test';
import { type Net, parametersOf, sitesOf } from '../../src/model/net.js';
import { layerName, type PerTower, shapeText, summarize, totalsOf } from '../../src/model/summary.js';
import { countOf, netOf, TABLE_NAMES } from './nets.js';

const both = ([first, second]: PerTower) => first + second;

/** A kernel's number of values times the places it is applied at: no layer's own sizes are used. */
function multiplyAddsOf(net: Net, tower: 0 | 1): number {
  const places = new Map(net.layers.map((layer) => [layerName(layer), layer.output[0] * layer.output[1]]));
  return parametersOf(net, tower)
    .filter(({ role }) => role === 'kernel')
    .reduce((total, kernel) => total + countOf([kernel]) * places.get(kernel.layer)!, 0);
}

test('summarize() counts multiply-adds: values of a kernel times its positions', () => {
  for (const table of TABLE_NAMES) {
    for (const changes of [{}, { width: 0.3, classes: 7, inputSize: 96 }]) {
      const net = netOf(table, changes);
      const { multiplyAdds } = totalsOf(summarize(net, 8));
      assert.deepEqual(multiplyAdds, [multiplyAddsOf(net, 0), multiplyAddsOf(net, 1)]);
    }
  }
});

test('summarize() has the 724 million multiply-adds of the original, and those of its layers', () => {
  const rows = summarize(netOf('original'), 128);
  const byLayer = Object.fromEntries(rows.map(({ layer, multiplyAdds }) => [layer, both(multiplyAdds)]));
  assert.equal(byLayer.conv1, 55 * 55 * 11 * 11 * 3 * 96);
  assert.equal(byLayer.conv2, 27 * 27 * 5 * 5 * 48 * 256);
  assert.equal(byLayer.conv3, 13 * 13 * 3 * 3 * 256 * 384);
  assert.equal(byLayer.fc8, 4096 * 1000);
  assert.equal(byLayer.pool1, 0);
  assert.equal(both(totalsOf(rows).multiplyAdds), 724_406_816);
});

test('summarize() counts all parameters, by layer and by tower', () => {
  for (const table of TABLE_NAMES) {
    const net = netOf(table);
    const { parameters } = totalsOf(summarize(net, 1));
    assert.deepEqual(parameters, [countOf(parametersOf(net, 0)), countOf(parametersOf(net, 1))]);
  }
  const fc8 = summarize(netOf('original'), 1).at(-1)!;
  assert.deepEqual([fc8.towers, fc8.parameters, fc8.multiplyAdds[1]], [[0], [4_097_000, 0], 0]);
});

// In float32 at batch 128: pool2 11.08 MB each way, pool5 2.36, fc6 1.05, and fc7 1.05 from tower 1 to tower 0 alone.
test('summarize() counts the bytes that each tower sends at each site', () => {
  const rows = summarize(netOf('original'), 128);
  const exchanges = Object.fromEntries(rows.flatMap(({ layer, exchange }) => (exchange ? [[layer, exchange]] : [])));
  const [pool2, pool5, hidden] = [21_632 * 512, 4608 * 512, 2048 * 512];
  assert.deepEqual(exchanges, {
    conv3: { forward: [pool2, pool2], backward: [pool2, pool2] },
    fc6: { forward: [pool5, pool5], backward: [pool5, pool5] },
    fc7: { forward: [hidden, hidden], backward: [hidden, hidden] },
    fc8: { forward: [0, hidden], backward: [hidden, 0] },
  });
  const sent = 2 * (pool2 + pool5 + hidden) + hidden;
  assert.deepEqual(totalsOf(rows).sentBytes, [sent, sent]);
});

test('summarize() has an exchange at every site only, in proportion to the batch', () => {
  for (const table of TABLE_NAMES) {
    const net = netOf(table);
    const crossing = summarize(net, 2).filter(({ exchange }) => exchange);
    assert.deepEqual(
      crossing.map(({ layer }) => layer),
      sitesOf(net).map(({ name }) => name),
    );
    const one = totalsOf(summarize(net, 1)).sentBytes;
    assert.deepEqual(totalsOf(summarize(net, 6)).sentBytes, [one[0] * 6, one[1] * 6]);
  }
});

test('shapeText() prints only the units of dense layers', () => {
  assert.equal(shapeText([13, 13, 128]), '13x13x128');
  assert.equal(shapeText([1, 1, 2048]), '2048');
});
