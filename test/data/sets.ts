/** Small data sets for tests, in memory and as files in a temporary folder. */
import { copyFileSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import type { TestContext } from 'node:test';
import { fileURLToPath } from 'node:url';
import type { ImageOptions } from '../../src/data/images/augment.js';
import type { Images, PixelDataset } from '../../src/data/index.js';
import { loadDataset } from '../../src/data/sets/idx-dataset.js';

/** Images of 4 x 4 pixels without augmentation. */
export const PLAIN: ImageOptions = {
  resize: 4,
  randomCrop: false,
  flip: false,
  brightness: 0,
  contrast: 0,
  saturation: 0,
  mean: [0],
  meanImage: false,
  colourNoise: { strength: 0, end: null, divide: false, colours: 'imagenet' },
  cropGroup: 1,
  scale: 1,
  onBadImage: 'fail',
};

/** Good and bad image files: `rgb.jpg`, `trunc.jpg`, … */
export const IMAGES = fileURLToPath(new URL('../../../test/fixtures/images', import.meta.url));

/** A HEIC image of 64 x 48 pixels, red and blue, which pillow-heif wrote. */
export const HEIC = readFileSync(new URL('../../../test/fixtures/phone.heic', import.meta.url));

/** The unreadable ones, and the reason of each. */
export const BAD_IMAGES: Readonly<Record<string, RegExp>> = {
  'empty.jpg': /the file is empty/,
  'html.jpg': /not a JPEG, PNG, GIF or WebP/,
  'notimage.jpg': /not a JPEG, PNG, GIF or WebP/,
  'trunc.jpg': /cut short/,
  'trunc_tail2.jpg': /cut short/,
};

/** An IDX file. */
export function idx(magic: number, sizes: readonly number[], values: ArrayLike<number>): Buffer {
  const head = Buffer.alloc(4 + 4 * sizes.length);
  head.writeUInt32BE(magic, 0);
  sizes.forEach((size, i) => {
    head.writeUInt32BE(size, 4 + 4 * i);
  });
  return Buffer.concat([head, Uint8Array.from(values)]);
}

/** Flags of a LeNet that trains fast, on {@link fewImages} in that folder. */
export function lenetFlags(folder: string): string[] {
  return [...'--preset lenet --batch-size 16 --lr 0.05 --data'.split(' '), fewImages(folder)];
}

/**
 * Writes the first images of the sample to a new folder `fashion`, whose name gives the classes their names. A run on few
 * images is faster, because it reads all images and evaluates at its end.
 * @param folder the parent folder, which the caller removes.
 */
export function fewImages(folder: string, counts: { train?: number; test?: number } = {}): string {
  const { train, test, height, width } = loadDataset('embedded', 10);
  const few = join(folder, 'fashion');
  mkdirSync(few);
  for (const [part, { images, labels }, count] of [
    ['train', train, counts.train ?? 400],
    ['t10k', test, counts.test ?? 40],
  ] as const) {
    const pixels = images.subarray(0, count * height * width);
    writeFileSync(join(few, `${part}-images-idx3-ubyte`), idx(0x803, [count, height, width], pixels));
    writeFileSync(join(few, `${part}-labels-idx1-ubyte`), idx(0x801, [count], labels.subarray(0, count)));
  }
  return few;
}

/** Four IDX files: three training and two test images of 2 x 2 pixels, labels from 0 to 2. */
export function fourFiles(): Record<string, Buffer> {
  return {
    'train-images-idx3-ubyte': idx(0x803, [3, 2, 2], [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12]),
    'train-labels-idx1-ubyte': idx(0x801, [3], [0, 1, 2]),
    't10k-images-idx3-ubyte': idx(0x803, [2, 2, 2], [21, 22, 23, 24, 25, 26, 27, 28]),
    't10k-labels-idx1-ubyte': idx(0x801, [2], [2, 1]),
  };
}

/** Makes a folder with these files, and removes it after the test. */
export function folderOf(t: TestContext, files: Readonly<Record<string, Uint8Array>>): string {
  const folder = mkdtempSync(join(tmpdir(), 'alexnet-split-data-'));
  t.after(() => rmSync(folder, { recursive: true, force: true }));
  for (const [name, bytes] of Object.entries(files)) writeFileSync(join(folder, name), bytes);
  return folder;
}

/** A folder with copies of the image files: path to the name of a fixture, or bytes. It is removed after the test. */
export function imageFolderOf(t: TestContext, files: Readonly<Record<string, string | Uint8Array>>): string {
  const folder = folderOf(t, {});
  for (const [path, content] of Object.entries(files)) {
    mkdirSync(dirname(join(folder, path)), { recursive: true });
    if (typeof content === 'string') copyFileSync(join(IMAGES, content), join(folder, path));
    else writeFileSync(join(folder, path), content);
  }
  return folder;
}

/** Images of 4 x 4 pixels; all pixels of image `i` are `i`, unless `textured`. Labels are `i % 10`. */
export function smallDataset(train: number, test: number, textured = false): PixelDataset {
  return {
    kind: 'pixels',
    name: 'small',
    source: 'made by a test',
    height: 4,
    width: 4,
    channels: 1,
    train: smallImages(train, textured),
    test: smallImages(test, textured),
    classNames: [],
  };
}

function smallImages(count: number, textured: boolean): Images {
  const images = new Uint8Array(new SharedArrayBuffer(16 * count));
  for (let i = 0; i < images.length; i++) images[i] = textured ? (i * 37 + (i >> 4) * 11) % 256 : i >> 4;
  const labels = new Uint8Array(new SharedArrayBuffer(count));
  for (let i = 0; i < count; i++) labels[i] = i % 10;
  return { count, images, labels };
}

/** The CRC of PNG. */
export function crc32(bytes: Uint8Array): number {
  let crc = 0xffffffff;
  for (const byte of bytes) {
    crc ^= byte;
    for (let bit = 0; bit < 8; bit++) crc = (crc >>> 1) ^ (crc & 1 ? 0xedb88320 : 0);
  }
  return (crc ^ 0xffffffff) >>> 0;
}

/** A file of CIFAR-10's format. @param labels of its images; every value of image `i` in plane `c` is 10 c + i. */
export function cifarFile(labels: readonly number[]): Buffer {
  return Buffer.concat(
    labels.map((label, i) => {
      const record = Buffer.alloc(3073);
      record[0] = label;
      for (const c of [0, 1, 2]) record.fill(10 * c + i, 1 + 1024 * c, 1 + 1024 * (c + 1));
      return record;
    }),
  );
}

/** The six files of CIFAR-10's format: ten training images and two test images, labels from 0 to 9. */
export function cifarFiles(): Record<string, Buffer> {
  const train = [1, 2, 3, 4, 5].map((number) => [`data_batch_${number}.bin`, cifarFile([number - 1, number + 4])]);
  return { ...Object.fromEntries(train), 'test_batch.bin': cifarFile([9, 0]) };
}
