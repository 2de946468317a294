import assert from 'node:assert/strict';
import fs from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test, { after } from 'node:test';
import sharp from 'sharp';
import { CASES, writeCase } from '../../scripts/pytorch-cases.js';
import { withTensors } from '../../src/checkpoint/weights-files.js';
import { CheckpointError, ConfigError } from '../../src/errors.js';
import { buildNet } from '../../src/model/net.js';
import {
  energyOf,
  type FirstLayer,
  firstLayerOf,
  kernelPicture,
  towerEnergy,
  writePng,
} from '../../src/weights/kernels.js';

const folder = fs.mkdtempSync(join(tmpdir(), 'alexnet-split-kernels-'));
after(() => fs.rmSync(folder, { recursive: true, force: true }));

const GREY = Float32Array.of(2, 2, 2, -1, -1, -1);
/** Red against blue in one pixel, zeros in the other: no grey. */
const COLOUR = Float32Array.of(3, 0, -3, 0, 0, 0);

test('energyOf() splits a kernel into grey and colour', () => {
  assert.deepEqual(energyOf(GREY, 3), { grey: 15, colour: 0 });
  assert.deepEqual(energyOf(COLOUR, 3), { grey: 0, colour: 18 });
  const mixture = GREY.map((value, i) => value + COLOUR[i]!);
  assert.deepEqual(energyOf(mixture, 3), { grey: 15, colour: 18 });
  assert.deepEqual(energyOf(GREY, 1), { grey: 15, colour: 0 });
});

test('towerEnergy() sums over kernels and counts those that are mostly colour', () => {
  const tower = { kernels: [GREY, COLOUR, COLOUR] };
  const expected = { kernels: 3, grey: 15, colour: 36, colourShare: 36 / 51, mostlyColour: 2 };
  assert.deepEqual(towerEnergy(tower, 3), expected);
  assert.equal(towerEnergy({ kernels: [new Float32Array(6)] }, 3).colourShare, 0);
});

test('firstLayerOf() reads the kernels of both towers', () => {
  const { towers } = writeCase(folder, 'original');
  const first = firstLayerOf(buildNet(CASES.original), towers);
  assert.deepEqual([first.layer, first.size, first.channels], ['conv1', 11, 3]);
  assert.deepEqual(
    first.towers.map(({ tower, kernels }) => [tower, kernels.length]),
    [
      [0, 3],
      [1, 3],
    ],
  );
  const values = withTensors(towers, (source) => source.read('tower1/conv1/kernel', [11, 11, 3, 3]));
  const [y, x, c, o] = [7, 2, 1, 2];
  assert.equal(first.towers[1]!.kernels[o]![(y * 11 + x) * 3 + c], values[((y * 11 + x) * 3 + c) * 3 + o]);
});

/** 48 and 48 kernels of 11 pixels, as the net of 2012 has; the last of tower 1 is `last`, the others zeros. */
function paperLayer(last: Float32Array): FirstLayer {
  const zeros = () => Array.from({ length: 48 }, () => new Float32Array(11 * 11 * 3));
  const second = [...zeros().slice(1), last];
  const towers: FirstLayer['towers'] = [
    { tower: 0, kernels: zeros() },
    { tower: 1, kernels: second },
  ];
  return { layer: 'conv1', size: 11, channels: 3, towers };
}

test('kernelPicture() and writePng() draw two groups of 48 kernels, sixteen in a row', async () => {
  const last = new Float32Array(11 * 11 * 3);
  last.set([0.5, 0, -0.5]); // the pixel top left: red, and no blue
  const file = join(folder, 'kernels.png');
  const picture = kernelPicture(paperLayer(last));
  await writePng(picture, file);
  const { data, info } = await sharp(file).raw().toBuffer({ resolveWithObject: true });
  const { width, height, channels } = info;
  // 16 of 88 pixels with 17 gaps of 8; six rows, with gaps of 8 around and 32 between the towers.
  assert.deepEqual([width, height, channels], [16 * 88 + 17 * 8, 6 * 88 + 6 * 8 + 32, 3]);
  const at = (x: number, y: number) => [...data.subarray((y * width + x) * 3, (y * width + x) * 3 + 3)];
  const tileAt = (tower: number, i: number) => {
    const row = Math.floor(i / 16);
    return [8 + (i % 16) * 96, 8 + tower * (3 * 96 + 24) + row * 96] as const;
  };
  const [white, zero] = [
    [255, 255, 255],
    [128, 128, 128],
  ];
  for (const tower of [0, 1]) {
    for (let i = 0; i < 48; i++) {
      const [x, y] = tileAt(tower, i);
      const isLast = tower === 1 && i === 47;
      assert.deepEqual(at(x, y), isLast ? [255, 128, 0] : zero);
      assert.deepEqual(at(x + 87, y + 87), zero, `the end of kernel ${i} of tower ${tower}`);
      assert.deepEqual([at(x - 1, y), at(x + 88, y), at(x, y - 1), at(x, y + 88)], [white, white, white, white]);
    }
  }
  const [x, y] = tileAt(1, 47);
  assert.deepEqual([at(x + 7, y + 7), at(x + 8, y), at(x, y + 8)], [[255, 128, 0], zero, zero]); // eight pixels a weight
});

test('kernelPicture() draws grey kernels, and a single tower', () => {
  const kernels = [Float32Array.of(1, -1, 0, 0.5)];
  const { height, width, pixels } = kernelPicture({
    ...{ layer: 'conv1', size: 2, channels: 1 },
    towers: [{ tower: 0, kernels }],
  });
  assert.deepEqual([height, width], [88 + 16, 88 + 16]);
  const at = (x: number, y: number) => pixels[((8 + y) * width + 8 + x) * 3];
  assert.deepEqual([at(0, 0), at(44, 0), at(0, 44), at(44, 44)], [255, 0, 128, 191]);
});

test('kernelPicture() refuses two channels, and writePng() a folder that cannot be made', async () => {
  const wrong = { layer: 'conv1', size: 1, channels: 4, towers: [] };
  assert.throws(
    () => kernelPicture(wrong),
    (error) => error instanceof ConfigError && /4 channels/.test(error.message),
  );
  const picture = { height: 1, width: 1, pixels: new Uint8Array(3) };
  await assert.rejects(
    writePng(picture, join('/dev/null', 'such.png')),
    (error) =>
      error instanceof CheckpointError && /Cannot write the picture .*; choose another file/.test(error.message),
  );
});
