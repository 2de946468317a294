/** A file with the tensors of a whole net that takes no room on the disk: all values are 0, and none is written. */
import { truncateSync, writeFileSync } from 'node:fs';
import type { Entry } from '../../src/checkpoint/safetensors.js';
import { portablesOf } from '../../src/weights/portable.js';
import { netOf } from '../model/nets.js';

/** Writes a safetensors file of float32. @returns its name. */
export function sparseFile(file: string, tensors: readonly Pick<Entry, 'name' | 'shape'>[]): string {
  let end = 0;
  const header = tensors.map(({ name, shape }) => {
    const begin = end;
    end += 4 * shape.reduce((product, size) => product * size, 1);
    return [name, { dtype: 'F32', shape, data_offsets: [begin, end] }];
  });
  const text = Buffer.from(JSON.stringify(Object.fromEntries(header)));
  const length = Buffer.alloc(8);
  length.writeBigUInt64LE(BigInt(text.length));
  writeFileSync(file, Buffer.concat([length, text]));
  truncateSync(file, 8 + text.length + end);
  return file;
}

/** The tensors of torchvision's AlexNet with torchvision's names. */
export function torchvisionTensors(classes: number): Pick<Entry, 'name' | 'shape'>[] {
  const modules = ['features.0', 'features.3', 'features.6', 'features.8', 'features.10'];
  const layers = [...modules, 'classifier.1', 'classifier.4', 'classifier.6'];
  return portablesOf(netOf('torchvision', { classes })).map(({ role, shape }, i) => {
    return { name: `${layers[Math.floor(i / 2)]}.${role === 'kernel' ? 'weight' : 'bias'}`, shape };
  });
}
