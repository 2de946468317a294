/**
 * Makes the embedded sample: the first images of each class of Fashion-MNIST, classes in turn.
 * `node dist/scripts/make-sample.js [folder of Fashion-MNIST [folder to write]]`
 */
import { createHash } from 'node:crypto';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { gzipSync } from 'node:zlib';
import { DATA_FILES, findFashionMnist, type Images, loadDataset } from '../src/data/index.js';
import { isEntry } from './trainer.js';

/** Images a class. */
export const TRAIN_PER_CLASS = 1000;
export const TEST_PER_CLASS = 100;
const CLASSES = 10;

/**
 * The first `perClass` images of each class in the order of the set: one of class 0, one of class 1, and so on.
 * @returns indices into the set.
 */
export function drawSample(labels: Images['labels'], perClass: number): number[] {
  const byClass = Array.from({ length: CLASSES }, (): number[] => []);
  labels.forEach((label, index) => {
    byClass[label]!.push(index);
  });
  return Array.from({ length: perClass * CLASSES }, (_, i) => {
    const index = byClass[i % CLASSES]![Math.floor(i / CLASSES)];
    if (index === undefined) throw new Error(`class ${i % CLASSES} has fewer than ${perClass} images`);
    return index;
  });
}

/** IDX files of the images at the indices, and of their labels, uncompressed. */
export function toIdx(set: Images, indices: readonly number[], height: number, width: number): [Buffer, Buffer] {
  const size = height * width;
  const images = Buffer.concat([
    words(0x803, indices.length, height, width),
    ...indices.map((index) => set.images.subarray(index * size, (index + 1) * size)),
  ]);
  const labels = Buffer.concat([words(0x801, indices.length), Buffer.from(indices.map((index) => set.labels[index]!))]);
  return [images, labels];
}

function words(...values: number[]): Buffer {
  const buffer = Buffer.alloc(4 * values.length);
  values.forEach((value, i) => {
    buffer.writeUInt32BE(value, 4 * i);
  });
  return buffer;
}

function main(source: string, out: string): void {
  const { train, test, height, width } = loadDataset(source, CLASSES);
  const contents = [
    ...toIdx(train, drawSample(train.labels, TRAIN_PER_CLASS), height, width),
    ...toIdx(test, drawSample(test.labels, TEST_PER_CLASS), height, width),
  ];
  mkdirSync(out, { recursive: true });
  DATA_FILES.forEach((name, i) => {
    const file = gzipSync(contents[i]!, { level: 9 });
    writeFileSync(join(out, `${name}.gz`), file);
    const sum = createHash('sha256').update(file).digest('hex');
    process.stdout.write(`| ${name}.gz | ${file.length} | \`${sum}\` |\n`);
  });
}

if (isEntry(import.meta.url)) {
  const [source = findFashionMnist() ?? 'fashion-mnist', out] = process.argv.slice(2);
  main(source, out ?? fileURLToPath(new URL('../../src/data/embedded', import.meta.url)));
}
