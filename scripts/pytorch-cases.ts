/**
 * Small nets of every table, with weights and images by a hash, as tower files and as exported: what PyTorch's logits in
 * `test/fixtures/pytorch.json` were computed from. To compute them again, with torch and safetensors installed:
 *
 *     node dist/scripts/pytorch-cases.js FOLDER
 *     python3 scripts/pytorch_logits.py FOLDER > test/fixtures/pytorch.json
 */
import { mkdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { writeTensors } from '../src/checkpoint/safetensors.js';
import { weightsName } from '../src/checkpoint/weights-files.js';
import { buildNet, type NetOptions, type Parameter, parametersOf, type TowerIndex } from '../src/model/net.js';
import { draw, nameWord, PURPOSE, unit } from '../src/random.js';
import { exportWeights } from '../src/weights/export.js';
import { isEntry } from './trainer.js';

/** Images of a case. */
export const IMAGES = 2;

const COMMON = { width: 0.0625, inputChannels: 3, classes: 10, init: 'he', dropout: true } as const;

/**
 * Input sizes at which the last pool leaves 2 x 2, so that the order of its values shows; 98 takes rows below. The net
 * torchvision has its whole size, at which its average pool changes nothing.
 */
export const CASES = {
  original: { ...COMMON, table: 'original', inputSize: 98 },
  paper: { ...COMMON, table: 'paper', inputSize: 98 },
  tutorial: { ...COMMON, table: 'tutorial', inputSize: 115, inputChannels: 1 },
  torchvision: { ...COMMON, table: 'torchvision', inputSize: 224 },
  lenet: { ...COMMON, table: 'lenet', width: 1, inputSize: 28, inputChannels: 1 },
  'one-gpu': { ...COMMON, table: 'one-gpu', inputSize: 98 },
  columns: { ...COMMON, table: 'columns', inputSize: 98 },
} as const satisfies Record<string, NetOptions>;

export type CaseName = keyof typeof CASES;

/** What a case's files are, and its images, float32 [IMAGES, S, S, C]. */
export interface Case {
  towers: string[];
  exported: string;
  images: Float32Array;
}

/** Writes a case's tower files, its exported file, and its images as PyTorch has them, [IMAGES, C, S, S]. */
export function writeCase(folder: string, name: CaseName): Case {
  const options: NetOptions = CASES[name];
  const net = buildNet(options);
  const inFolder = join(folder, name);
  mkdirSync(inFolder, { recursive: true });
  const towers = ([0, 1] as const).map((tower) => {
    const file = join(inFolder, weightsName(tower, 2));
    writeTower(file, parametersOf(net, tower), tower);
    return file;
  });
  const exported = join(inFolder, 'exported.safetensors');
  rmSync(exported, { force: true });
  exportWeights(net, towers, exported, {});
  const images = imagesOf(options);
  writeImages(join(inFolder, 'images.safetensors'), options, images);
  return { towers, exported, images };
}

function writeTower(file: string, parameters: readonly Parameter[], tower: TowerIndex): void {
  writeTensors(file, parameters, { tower: String(tower) }, ({ name }, bytes) => {
    const { role, fanIn } = parameters.find((each) => each.name === name)!;
    const limit = role === 'kernel' ? Math.sqrt(6 / fanIn) : 0.5;
    fill(new Float32Array(bytes.buffer), name, limit);
  });
}

/** Nets that expect scaled grey levels. */
const SCALED: readonly string[] = ['tutorial', 'torchvision', 'lenet'];

/** Grey levels less their mean: with values this large the response norms' alphas count. */
function imagesOf({ inputSize, inputChannels, table }: NetOptions): Float32Array {
  const images = new Float32Array(IMAGES * inputSize ** 2 * inputChannels);
  fill(images, 'images', SCALED.includes(table) ? 1 : 120);
  return images;
}

function writeImages(file: string, { inputSize, inputChannels }: NetOptions, images: Float32Array): void {
  const shape = [IMAGES, inputChannels, inputSize, inputSize];
  writeTensors(file, [{ name: 'images', shape }], {}, (_, bytes) => {
    const planes = new Float32Array(bytes.buffer);
    const pixels = inputSize ** 2;
    for (let i = 0; i < planes.length; i++) {
      const [pixel, plane] = [i % pixels, Math.floor(i / pixels)];
      const [channel, image] = [plane % inputChannels, Math.floor(plane / inputChannels)];
      planes[i] = images[(image * pixels + pixel) * inputChannels + channel]!;
    }
  });
}

/** Uniform in ±`limit`, by the name and the place. */
function fill(values: Float32Array, name: string, limit: number): void {
  const word = nameWord(name);
  for (let i = 0; i < values.length; i += 4) {
    const words = draw(1, PURPOSE.init, word, 0, i);
    for (let j = 0; j < Math.min(4, values.length - i); j++) values[i + j] = (2 * unit(words[j]!) - 1) * limit;
  }
}

if (isEntry(import.meta.url)) {
  for (const name of Object.keys(CASES) as CaseName[]) writeCase(process.argv[2] ?? 'pytorch-cases', name);
}
