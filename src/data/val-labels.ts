/** Labels of images that lie side by side: a line for each, as ImageNet's validation set comes. */
import { existsSync } from 'node:fs';
import { basename, join } from 'node:path';
import { cut, DataError } from '../errors.js';
import { placeholder } from '../file-kind.js';
import { readText } from '../read-json.js';
import { composed } from './classes.js';
import { IMAGE_ENDING } from './walk.js';

/** Names under which the file is looked for, beside `val` and in it. */
export const LABEL_FILES = ['val_labels.txt', 'val.txt', 'LOC_val_solution.csv', 'val_annotations.txt'] as const;

/** A line for each of a million images and more. */
const MAX_BYTES = 2 ** 26;
/** No path is longer. */
const MAX_PATH = 4096;

/** @param val the name of the folder with the images. */
export function findLabelsFile(folder: string, val: string): string | undefined {
  return [folder, join(folder, val)].flatMap((at) => LABEL_FILES.map((name) => join(at, name))).find(existsSync);
}

/** What a line may call an image, the most exact first: a longer name counts, whatever a shorter one says. */
type Exactness = 'path' | 'file' | 'stem';
const EXACTNESS: readonly Exactness[] = ['path', 'file', 'stem'];

/** A label, and where it was said. */
interface Said {
  label: number;
  line: number;
}

/**
 * The labels of images. A line is a file's name, with or without its ending, and then its class: a class folder's name,
 * or else its number from 0 in the sorted list. Between them are blanks, tabs or a comma; what follows the class is passed
 * over. So Caffe's `val.txt`, Kaggle's `LOC_val_solution.csv` (its heading included) and Tiny ImageNet's
 * `val_annotations.txt` are understood. Names may have blanks and commas: of what a line may mean, the longest name of an
 * image that is there counts, and then the longest name of a class. Either may stand in quotes.
 * @param paths the images. Lines of other images are passed over.
 * @returns a label for each path.
 * @throws DataError for a line that says no class, two that say different ones, or an image without a line.
 */
export function readLabels(file: string, classNames: readonly string[], paths: readonly string[]): number[] {
  const images = spellings(paths);
  const classes = longestOf(new Map(classNames.map((name, label) => [composed(name), label])));
  const said: Record<Exactness, Map<string, Said>> = { path: new Map(), file: new Map(), stem: new Map() };
  let line = 0;
  for (const raw of linesOf(listIn(file))) {
    line++;
    const text = composed(raw.trim());
    if (text === '' || (line === 1 && /^"?ImageId\b/.test(text))) continue;
    const found = readLine(text, images, classes, classNames.length);
    if (!found) continue;
    if (found.label === undefined) {
      throw refusal(
        file,
        `line ${line} says ${found.rest === '' ? 'no class' : `the class ${cut(found.rest)}`}, expected "<file> <class>" with the name of one of the ${classNames.length} class folders of train, or its number from 0 in their sorted list`,
        "a list with one number a line, in ILSVRC's own order of classes, has to be translated first",
      );
    }
    const before = said[found.exactness].get(found.name);
    if (before && before.label !== found.label) {
      throw refusal(
        file,
        `lines ${before.line} and ${line} say different classes of ${cut(found.name)}, expected one for each image`,
        'take one away, or name files of one name with their folders',
      );
    }
    said[found.exactness].set(found.name, { label: found.label, line });
  }
  return paths.map((path) => {
    const names = namesOf(path);
    for (const exactness of EXACTNESS) {
      const known = said[exactness].get(names[exactness]);
      if (known) return known.label;
    }
    throw refusal(
      file,
      `it has no line for ${path}, expected one for each image of val`,
      'add it, or take the image away',
    );
  });
}

type Spellings = Record<Exactness, ReadonlySet<string>> & { longest: number };

function spellings(paths: readonly string[]): Spellings {
  const sets = { path: new Set<string>(), file: new Set<string>(), stem: new Set<string>() };
  let longest = 0;
  for (const path of paths) {
    const names = namesOf(path);
    for (const exactness of EXACTNESS) sets[exactness].add(names[exactness]);
    longest = Math.max(longest, names.path.length);
  }
  // A line may name an image with another ending than it has, and with the folder that they all lie in.
  return { ...sets, longest: longest + 20 };
}

/** @param path from the data set's folder. */
function namesOf(path: string): Record<Exactness, string> {
  const whole = composed(path.slice(path.indexOf('/') + 1));
  const file = basename(whole);
  return { path: whole, file, stem: file.replace(IMAGE_ENDING, '') };
}

interface Classes {
  labels: ReadonlyMap<string, number>;
  longest: number;
}

function longestOf(labels: ReadonlyMap<string, number>): Classes {
  return { labels, longest: [...labels.keys()].reduce((most, name) => Math.max(most, name.length), 0) };
}

/** What a line says: of which image, and its label or what stands in its place. */
interface Found {
  exactness: Exactness;
  name: string;
  label: number | undefined;
  rest: string;
}

/** Nothing for a line of another image. One that has a single word says no class, whatever it is of. */
function readLine(text: string, images: Spellings, classes: Classes, count: number): Found | undefined {
  let unlabelled: Found | undefined;
  for (const { name, rest } of splits(text, images.longest)) {
    const image = imageOf(name, images);
    if (!image) continue;
    const label = labelIn(rest, classes, count);
    if (label !== undefined) return { ...image, label, rest };
    unlabelled ??= { ...image, label, rest };
  }
  if (unlabelled) return unlabelled;
  return /[\s,]/.test(text) ? undefined : { exactness: 'file', name: text, label: undefined, rest: '' };
}

/** What may be the name at the beginning of a line, the longest first, and what follows. */
function* splits(text: string, longest: number): Generator<{ name: string; rest: string }> {
  const quoted = /^"((?:[^"]|"")*)"(?:\s*[,\s]\s*|$)/.exec(text.slice(0, MAX_PATH));
  if (quoted) {
    yield { name: quoted[1]!.replaceAll('""', '"'), rest: text.slice(quoted[0].length) };
    return;
  }
  const ends: number[] = [];
  const most = Math.min(text.length, MAX_PATH);
  let from = 0; // of the last part of the path
  for (let i = 1; i <= most; i++) {
    if (text[i - 1] === '/') from = i;
    const isEnd = i === text.length || (isBetween(text[i]!) && !isBetween(text[i - 1]!));
    if (isEnd && i - from <= longest) ends.push(i);
  }
  // What leads to the images may be longer, and is no part of their names.
  for (const end of ends.reverse()) {
    yield { name: text.slice(Math.max(0, end - longest), end), rest: text.slice(end).replace(/^[\s,]+/, '') };
  }
}

function isBetween(character: string): boolean {
  return /[\s,]/.test(character);
}

function imageOf(name: string, images: Spellings): Pick<Found, 'exactness' | 'name'> | undefined {
  const path = name.replace(/^(\.\/)?((val|valid|validation|test|testing)\/)?/i, '');
  if (path.includes('/') && images.path.has(path)) return { exactness: 'path', name: path };
  const file = basename(path);
  if (images.file.has(file)) return { exactness: 'file', name: file };
  const stem = file.replace(IMAGE_ENDING, '');
  return images.stem.has(stem) ? { exactness: 'stem', name: stem } : undefined;
}

/** The label that a text begins with: the longest name of a class, or else a number. */
function labelIn(text: string, { labels, longest }: Classes, count: number): number | undefined {
  const quoted = /^"((?:[^"]|"")*)"/.exec(text.slice(0, MAX_PATH));
  if (quoted) return labels.get(quoted[1]!.replaceAll('""', '"')) ?? indexOf(quoted[1]!, count);
  const most = Math.min(text.length, longest);
  for (let end = most; end > 0; end--) {
    if (end < text.length && !isBetween(text[end]!)) continue;
    const label = labels.get(text.slice(0, end));
    if (label !== undefined) return label;
  }
  return indexOf(/^[^\s,]*/.exec(text)![0], count);
}

/** One after the other: a list of nothing but line ends would make too many at once. */
function* linesOf(text: string): Generator<string> {
  for (let from = 0; from <= text.length; ) {
    const end = text.indexOf('\n', from);
    const to = end < 0 ? text.length : end;
    yield text.slice(from, to);
    from = to + 1;
  }
}

function listIn(file: string): string {
  let text: string;
  try {
    text = readText(file, { limit: MAX_BYTES });
  } catch (error) {
    throw refusal(file, `${(error as Error).message}, expected a list that can be read`, 'check the file');
  }
  const held = placeholder(text, file);
  if (held !== undefined) throw refusal(file, held, 'then try again');
  return text;
}

function indexOf(text: string, classes: number): number | undefined {
  const index = /^\d+$/.test(text) ? Number(text) : Number.NaN;
  return index < classes ? index : undefined;
}

function refusal(file: string, found: string, remedy: string): DataError {
  return new DataError(`Cannot use the labels of ${file}: ${found}; ${remedy}`);
}
