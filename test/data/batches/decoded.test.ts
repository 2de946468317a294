import assert from 'node:assert/strict';
import { join } from 'node:path';
import test, { type TestContext } from 'node:test';
import { allocateDecoded, createTurns, findDecoded } from '../../../src/data/batches/decoded.js';
import { createFiller, type FillSetup, layoutFor } from '../../../src/data/batches/filler.js';
import { createTransform, viewsOf } from '../../../src/data/images/augment.js';
import { IMAGENET_COLOURS } from '../../../src/data/images/colours.js';
import { openDecoder } from '../../../src/data/images/decode.js';
import { readImageFile } from '../../../src/data/images/reader.js';
import { createSlot, openImages, packImages, slotViews } from '../../../src/data/index.js';
import { folderOf, imageFolderOf, PLAIN } from '../sets.js';

test('findDecoded() decodes an image for the first view of its batch only', async () => {
  const decoded = allocateDecoded(2, 3)!;
  let decodes = 0;
  const find = (number: number, place: number, index: number, isReadable = true) =>
    findDecoded(decoded, 10, number, { place, index }, async () => {
      decodes++;
      const pixels = Uint8Array.of(index, index, index);
      return { index, offset: 0, bad: [], ...(isReadable && { pixels }) };
    });
  /** The first value that is found, and how often was decoded so far. */
  const found = async (...args: Parameters<typeof find>) => {
    const { pixels, offset } = await find(...args);
    return [pixels?.[offset], decodes];
  };
  assert.deepEqual(await found(0, 0, 10), [10, 1]);
  assert.deepEqual(await found(0, 1, 11), [11, 2]);
  assert.deepEqual(await found(10, 1, 13), [13, 3]); // the next batch leaves the first one where it is
  for (const view of [1, 5, 9]) assert.deepEqual(await found(view, 0, 10), [10, 3]);
  assert.deepEqual(await found(9, 1, 11), [11, 3]);
  assert.deepEqual(await found(19, 1, 13), [13, 3]);
  assert.deepEqual(await found(20, 0, 14), [14, 4]); // takes the place of the first batch
  assert.deepEqual(await found(1, 0, 10), [10, 5], 'a view that comes late is decoded');
  assert.deepEqual(await found(21, 0, 14), [14, 5], 'and leaves the place as it is');
  assert.deepEqual(await found(40, 0, 18, false), [undefined, 6]);
  assert.deepEqual(await found(41, 0, 18, false), [undefined, 7]);
});

test('createTurns() lets views wait for their first one, and a first one for the batch whose place it takes', async () => {
  const started: number[] = [];
  const ends = new Map<number, (error?: Error) => void>();
  const takeTurns = createTurns(10);
  const start = (number: number) =>
    takeTurns(number, () => {
      started.push(number);
      return new Promise<void>((resolve, reject) => {
        ends.set(number, (error) => (error ? reject(error) : resolve()));
      });
    });
  const turn = () => new Promise((resolve) => setImmediate(resolve));
  const fillings = [0, 1, 2, 10, 20, 21].map(start);
  fillings[3]!.catch(() => {});
  await turn();
  assert.deepEqual(started, [0, 10]);
  ends.get(0)!();
  await turn();
  assert.deepEqual(started, [0, 10, 1, 2]);
  ends.get(10)!(new Error('a worker failed'));
  ends.get(2)!();
  await turn();
  assert.equal(started.length, 4, 'a view of batch 0 still runs');
  ends.get(1)!();
  await turn();
  assert.deepEqual(started, [0, 10, 1, 2, 20]);
  ends.get(20)!();
  await turn();
  assert.deepEqual(started, [0, 10, 1, 2, 20, 21]);
  ends.get(21)!();
  const settled = await Promise.allSettled(fillings);
  assert.deepEqual(
    settled.map(({ status }) => status === 'fulfilled'),
    [true, true, true, false, true, true],
  );
});

for (const kind of ['files', 'raw shards'] as const) {
  test(`createFiller() reads and decodes each image of ${kind} once for ten views`, (t) => readsOnce(t, kind));
}

async function readsOnce(t: TestContext, kind: 'files' | 'raw shards'): Promise<void> {
  const names = ['val/a/0.jpg', 'val/a/1.jpg', 'val/b/0.jpg'];
  const kinds = ['rgb.jpg', 'cmyk.jpg', 'prog.jpg'];
  const val = Object.fromEntries(names.map((name, i) => [name, kinds[i]!]));
  const folder = imageFolderOf(t, { ...val, 'train/a/0.jpg': 'rgb.jpg', 'train/b/0.jpg': 'rgb.jpg' });
  const size = { height: 8, width: 8, channels: 3 } as const;
  const decode = await openDecoder(8, 3);
  const originals = await Promise.all(
    names.map(async (name) => {
      const read = await readImageFile(join(folder, name), decode);
      assert.ok('pixels' in read);
      return read.pixels;
    }),
  );
  const data = { ...PLAIN, resize: 8, mean: [0, 0, 0] };
  const out = join(folderOf(t, {}), 'out');
  const stored = { kind: 'raw', size: 8, interpolation: 'lanczos' } as const;
  if (kind === 'raw shards') await packImages(openImages(folder), { out, shardBytes: 10_000, stored });
  const dataset = openImages(kind === 'files' ? folder : out);
  const setup = {
    ...{ dataset, batchSize: 2, inputSize: 5, inputChannels: 3, seed: 1, data, views: 10 },
    ...{ colours: IMAGENET_COLOURS, decoded: allocateDecoded(2, 8 * 8 * 3) },
  } satisfies Omit<FillSetup, 'slots'>;
  const layout = layoutFor(setup);
  const slots = [createSlot(layout)];
  const filler = createFiller({ ...setup, slots });
  t.after(() => filler.close());
  const transform = createTransform(size, data, 5, 3);
  for (const number of [0, 1]) {
    const expected = originals.slice(2 * number, 2 * number + 2);
    for (const [view, changes] of viewsOf(10, 8, 5).entries()) {
      const task = { kind: 'test', number: 10 * number + view, slot: 0, part: 0, parts: 1 } as const;
      const { bad, holes, readBytes } = await filler.fill(task);
      assert.deepEqual([bad, holes, readBytes > 0], [[], [], view === 0]);
      const { images } = slotViews(slots[0]!, layout);
      for (const [i, pixels] of expected.entries()) {
        const painted = new Float32Array(75);
        transform(painted, 0, pixels, 0, changes);
        assert.deepEqual(
          [...images.slice(75 * i, 75 * (i + 1))],
          [...painted],
          `view ${view} of image ${2 * number + i}`,
        );
      }
    }
  }
}
