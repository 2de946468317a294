/** Labels of images that lie side by side: a line for each, as ImageNet's validation set comes. */
import { basename, join } from 'node:path';
import { DataError, truncate } from '../../errors.js';
import { describePlaceholder } from '../../file-kind.js';
import { readText } from '../../read-json.js';
import { composed } from './classes.js';
import { isThere } from './list-folder.js';
import { TRAIN_NAMES, VAL_NAMES } from './parts.js';
import { IMAGE_ENDING } from './walk.js';

/** Names under which the file is looked for, beside `val` and in it. */
export const LABEL_FILES = ['val_labels.txt', 'val.txt', 'LOC_val_solution.csv', 'val_annotations.txt'] as const;

/** A line for each of a million images and more. */
const MAX_BYTES = 2 ** 26;
/** No path is longer. */
const MAX_PATH = 4096;
/** Readings of a line that begin with the name of an image: more are no list, but work. */
const MOST_READINGS = 16;

/** @param val the name of the folder with the images. */
export function findLabelsFile(folder: string, val: string): string | undefined {
  return [folder, join(folder, val)].flatMap((at) => LABEL_FILES.map((name) => join(at, name))).find(isThere);
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
 * @param paths the images, all of one part. Lines of other images are passed over, and those that name another part, such as
 * `train/1.png`: a list may be of all parts. What is said of `val/1.png` counts before what is said of `1.png`.
 * @returns a label for each path.
 * @throws DataError for a line that says no class, two that say different ones, or an image without a line.
 */
export function readLabels(file: string, classNames: readonly string[], paths: readonly string[]): number[] {
  const images = spellings(paths);
  const classes = longestFirst(new Map(classNames.map((name, label) => [composed(name), label])));
  const said: Record<Exactness, Map<string, Said>> = { path: new Map(), file: new Map(), stem: new Map() };
  let line = 0;
  let odd: string | undefined;
  for (const raw of linesOf(listIn(file))) {
    line++;
    const text = composed(raw.trim());
    if (text === '' || (line === 1 && /^"?ImageId\b/.test(text))) continue;
    const found = readLine(text, images, classes, classNames.length);
    if (!found) odd ??= oddity(text, line);
    if (!found) continue;
    if (found.label === undefined) {
      throw refusal(
        file,
        `line ${line} says ${found.rest === '' ? 'no class' : `the class ${truncate(found.rest)}`}, expected "<file> <class>" with the name of one of the ${classNames.length} class folders of train, or its number from 0 in their sorted list`,
        oddity(text, line) ??
          "a list with one number a line, in ILSVRC's own order of classes, has to be translated first",
      );
    }
    const before = said[found.exactness].get(found.name);
    if (before && before.label !== found.label) {
      throw refusal(
        file,
        `lines ${before.line} and ${line} say different classes of ${truncate(found.name)}, expected one for each image`,
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
      odd ?? 'add it, or take the image away',
    );
  });
}

/** What makes a line unlike what is read, with what to do. */
function oddity(text: string, line: number): string | undefined {
  if (text.includes('\\')) return `line ${line} has \\ between folders: write / there`;
  return text.includes(';')
    ? `line ${line} has a semicolon: write a comma or a blank between file and class`
    : undefined;
}

interface Spellings extends Record<Exactness, ReadonlySet<string>> {
  /** Of files' names as a line may have them. */
  lengths: ReadonlySet<number>;
  /** Folders' names, in small letters: of the part that the images are in, and of others. */
  own: ReadonlySet<string>;
  others: ReadonlySet<string>;
}

/** A set without `val` is tested on what is in `test`: then `val` in its list can only mean that. */
const [VAL, TEST] = [VAL_NAMES.slice(0, 3), VAL_NAMES.slice(3)];

function spellings(paths: readonly string[]): Spellings {
  const sets = { path: new Set<string>(), file: new Set<string>(), stem: new Set<string>() };
  const lengths = new Set<number>();
  for (const path of paths) {
    const names = namesOf(path);
    for (const exactness of EXACTNESS) sets[exactness].add(names[exactness]);
    // A line may name an image with another ending than it has.
    for (const more of [0, ...ENDING_LENGTHS]) lengths.add(names.stem.length + more);
    lengths.add(names.file.length);
  }
  const part = paths[0]?.slice(0, paths[0].indexOf('/')).toLowerCase() ?? '';
  const isTest = (TEST as readonly string[]).includes(part);
  return {
    ...{ ...sets, lengths, own: new Set([part, ...VAL, ...(isTest ? TEST : [])]) },
    others: new Set([...TRAIN_NAMES, ...(isTest ? [] : TEST)]),
  };
}

/** Of `.jpg` to `.pjpeg`: see `IMAGE_ENDING`. */
const ENDING_LENGTHS = [4, 5, 6];

/** @param path from the data set's folder. */
function namesOf(path: string): Record<Exactness, string> {
  const whole = composed(path.slice(path.indexOf('/') + 1));
  const file = basename(whole);
  return { path: whole, file, stem: file.replace(IMAGE_ENDING, '') };
}

interface Classes {
  labels: ReadonlyMap<string, number>;
  /** Of their names, the longest first. */
  lengths: readonly number[];
}

function longestFirst(labels: ReadonlyMap<string, number>): Classes {
  return { labels, lengths: [...new Set([...labels.keys()].map((name) => name.length))].sort((a, b) => b - a) };
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
  let readings = 0;
  for (const { name, rest } of splits(text, images.lengths)) {
    const image = imageOf(name, images);
    if (!image) continue;
    const label = labelIn(rest, classes, count);
    if (label !== undefined) return { ...image, label, rest };
    unlabelled ??= { ...image, label, rest };
    if (++readings === MOST_READINGS) break;
  }
  if (unlabelled) return unlabelled;
  return /[\s,]/.test(text) ? undefined : { exactness: 'file', name: text, label: undefined, rest: '' };
}

/**
 * What may be the name at the beginning of a line, the longest first, and what follows.
 * @param lengths what is behind its last / has one of these.
 */
function* splits(text: string, lengths: ReadonlySet<number>): Generator<{ name: string; rest: string }> {
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
    if (isEnd && lengths.has(i - from)) ends.push(i);
  }
  for (const end of ends.reverse()) yield { name: text.slice(0, end), rest: text.slice(end).replace(/^[\s,]+/, '') };
}

function isBetween(character: string): boolean {
  return /[\s,]/.test(character);
}

function imageOf(name: string, images: Spellings): Pick<Found, 'exactness' | 'name'> | undefined {
  const file = name.slice(name.lastIndexOf('/') + 1);
  const stem = file.replace(IMAGE_ENDING, '');
  const isFile = images.file.has(file);
  if (!isFile && !images.stem.has(stem)) return undefined;
  const place = placeOf(name, images);
  if (place === 'elsewhere') return undefined;
  if (place) return { exactness: 'path', name: place.path };
  return isFile ? { exactness: 'file', name: file } : { exactness: 'stem', name: stem };
}

/** The image of that very path; or that it is in another part. Nothing where the path does not say. */
function placeOf(name: string, images: Spellings): { path: string } | 'elsewhere' | undefined {
  const path = name.replace(/^\.\//, '');
  const folders = path.split('/').slice(0, -1);
  if (folders.length > 0 && images.path.has(path)) return { path };
  let at = 0;
  let [inOwn, inOther] = [0, false];
  for (const folder of folders) {
    at += folder.length + 1;
    const part = folder.toLowerCase();
    if (images.others.has(part)) inOther = true;
    if (!images.own.has(part) || ++inOwn > MOST_READINGS) continue;
    if (images.path.has(path.slice(at))) return { path: path.slice(at) };
  }
  return inOther && inOwn === 0 ? 'elsewhere' : undefined;
}

/** The label that a text begins with: the longest name of a class, or else a number. */
function labelIn(text: string, { labels, lengths }: Classes, count: number): number | undefined {
  const quoted = /^"((?:[^"]|"")*)"/.exec(text.slice(0, MAX_PATH));
  if (quoted) return labels.get(quoted[1]!.replaceAll('""', '"')) ?? indexOf(quoted[1]!, count);
  for (const end of lengths) {
    if (end > text.length || (end < text.length && !isBetween(text[end]!))) continue;
    const label = labels.get(text.slice(0, end));
    if (label !== undefined) return label;
  }
  return indexOf(/^[^\s,]*/.exec(text.slice(0, MAX_PATH))![0], count);
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
  const held = describePlaceholder(text, file);
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
