import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import test from 'node:test';
import { type NetOptions, sitesOf } from '../../src/model/net.js';
import { shapeText, towersPicture } from '../../src/model/summary.js';
import { netOf, TABLE_NAMES } from './nets.js';

/** Seen from `dist/test/model`. */
function fixture(name: string): string {
  return readFileSync(new URL(`../../../test/fixtures/pictures/${name}.txt`, import.meta.url), 'utf8').trimEnd();
}

test('towersPicture() draws the two columns of the original and of LeNet as in the fixtures', () => {
  for (const table of ['original', 'lenet'] as const) assert.equal(towersPicture(netOf(table)), fixture(table));
});

const SWEEP: Partial<NetOptions>[] = [
  {},
  { width: 8, classes: 65_536, inputSize: 4096 },
  { width: 0.25, inputSize: 96 },
  { dropout: false, activation: 'sigmoid' },
];

test('towersPicture() stays within 80 columns of ASCII, at any size', () => {
  for (const table of TABLE_NAMES) {
    for (const changes of SWEEP) {
      for (const line of towersPicture(netOf(table, changes)).split('\n')) {
        assert.ok(line.length <= 80, line);
        assert.match(line, /^[ -~]*$/);
        assert.equal(line, line.trimEnd());
      }
    }
  }
});

test('towersPicture() names every layer, and at each site the shape that a tower sends', () => {
  for (const table of TABLE_NAMES) {
    const net = netOf(table);
    const lines = towersPicture(net).split('\n');
    for (const layer of net.layers) {
      if ('name' in layer)
        assert.ok(
          lines.some((line) => line.startsWith(`| ${layer.name}`)),
          layer.name,
        );
    }
    const crossings = lines.flatMap(
      (line) =>
        line
          .match(/(\w+) +[X/] +([\dx]+)/)
          ?.slice(1)
          .join(' ') ?? [],
    );
    assert.deepEqual(
      crossings,
      sitesOf(net).map(({ name, shape }) => `${name} ${shapeText(shape)}`),
    );
  }
});

test('towersPicture() draws one box, and one arrow to it, for the layer with a home', () => {
  const lines = towersPicture(netOf('original')).split('\n');
  assert.equal(lines.at(-1), `+${'-'.repeat(35)}+`);
  assert.equal(lines.filter((line) => line.includes('<') && !line.includes('>')).length, 1);
});
