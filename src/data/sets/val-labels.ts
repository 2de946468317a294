/** Reads the labels of images that are all in one folder: a file with a line for each, as for ImageNet's validation set. */
import { basename, join } from 'node:path';
import { DataError, truncate } from '../../errors.js';
import { describePlaceholder } from '../../file-kind.js';
import { readText } from '../../read-json.js';
import { exists, TRAIN_NAMES, VAL_NAMES } from './list-folder.js';
import { normalizeName } from './names.js';
import { IMAGE_ENDING } from './walk.js';

/** Names under which the file is searched, beside `val` and in it. */
export const LABEL_FILES = ['val_labels.txt', 'val.txt', 'LOC_val_solution.csv', 'val_annotations.txt'] as const;

const MAX_BYTES = 2 ** 26; // more than a million images
const MAX_PATH = 4096; // of Linux
/** Interpretations of a line that are tried, so that no list takes forever. */
const MAX_READINGS = 16;

/** @param val the name of the folder with the images. */
export function findLabelsFile(folder: string, val: string): string | undefined {
  return [folder, join(folder, val)].flatMap((at) => LABEL_FILES.map((name) => join(at, name))).find(exists);
}

/**
 * Reads the labels of images. A line has a file name, with or without its ending, and a class: the name of a class folder,
 * or its number from 0 in the sorted list. Blanks, tabs or a comma separate them; the rest of the line is ignored. So
 * Caffe's `val.txt`, Kaggle's `LOC_val_solution.csv` (with its heading) and Tiny ImageNet's `val_annotations.txt` can be
 * read. Names may contain blanks and commas, or be in quotes: the longest name of an existing image counts, then the longest
 * name of a class.
 * @param paths the images, all of one part. Lines of other images are ignored, also those of other parts, such as
 * `train/1.png`. A line for `val/1.png` counts before one for `1.png`.
 * @throws DataError for a line without a known class, two lines with different classes, or an image without a line.
 */
export function readLabels(file: string, classNames: readonly string[], paths: readonly string[]): number[] {
  const images = indexImages(paths);
  const classes = indexClasses(classNames);
  const labels = new Map<string, { label: number; line: number }>();
  let line = 0;
  let firstHint: string | undefined;
  // One line after the other: a file of nothing but line ends has too many for an array.
  for (const [raw] of readList(file).matchAll(/[^\n]*\n?/g)) {
    line++;
    const text = normalizeName(raw.trim());
    if (text === '' || (line === 1 && /^"?ImageId\b/.test(text))) continue;
    const entry = parseLine(text, images, classes);
    if (!entry) {
      firstHint ??= separatorHint(text, line);
      continue;
    }
    const { name, label, rest } = entry;
    if (label === undefined) {
      throw refusal(
        file,
        `line ${line} says ${rest === '' ? 'no class' : `the class ${truncate(rest)}`}, expected "<file> <class>" with the name of one of the ${classNames.length} class folders of train, or its number from 0 in their sorted list`,
        separatorHint(text, line) ??
          "a list with one number a line, in ILSVRC's own order of classes, has to be translated first",
      );
    }
    const before = labels.get(name);
    if (before && before.label !== label) {
      throw refusal(
        file,
        `lines ${before.line} and ${line} say different classes of ${truncate(name.slice(name.indexOf(':') + 1))}, expected one for each image`,
        'remove one, or name files of one name with their folders',
      );
    }
    labels.set(name, { label, line });
  }
  return paths.map((path) => {
    const name = namesOf(path).find((each) => labels.has(each));
    if (name !== undefined) return labels.get(name)!.label;
    const remedy = firstHint ?? 'add it, or remove the image';
    throw refusal(file, `it has no line for ${path}, expected one for each image of val`, remedy);
  });
}

/** What is wrong with the separators of a line, and how to fix it. */
function separatorHint(text: string, line: number): string | undefined {
  if (text.includes('\\')) return `line ${line} has \\ between folders: write / there`;
  if (text.includes(';')) return `line ${line} has a semicolon: write a comma or a blank between file and class`;
  return undefined;
}

/** If the test images are in `test`, lines with `val` can only mean them. */
const VAL: readonly string[] = VAL_NAMES.slice(0, 3);
const TEST: readonly string[] = VAL_NAMES.slice(3);

type ImageIndex = ReturnType<typeof indexImages>;

function indexImages(paths: readonly string[]) {
  const names = new Set<string>();
  /** Lengths that a file name in a line may have. */
  const lengths = new Set<number>();
  for (const path of paths) {
    for (const name of namesOf(path)) names.add(name);
    const file = basename(normalizeName(path));
    lengths.add(file.length);
    // A line may have no ending, or another one than the image: `.jpg` to `.pjpeg`, see IMAGE_ENDING.
    for (const ending of [0, 4, 5, 6]) lengths.add(stemOf(file).length + ending);
  }
  const part = paths[0]?.slice(0, paths[0].indexOf('/')).toLowerCase() ?? '';
  const isTest = TEST.includes(part);
  /** Lower-case folder names of the part that the images are in, and of other parts. */
  const own = new Set([part, ...VAL, ...(isTest ? TEST : [])]);
  const others = new Set<string>([...TRAIN_NAMES, ...(isTest ? [] : TEST)]);
  return { names, lengths, own, others };
}

/**
 * How a line may name an image: by its path, its file name, or its file name without the ending. The first counts most.
 * @param path relative to the data set's folder.
 */
function namesOf(path: string): string[] {
  const inner = normalizeName(path.slice(path.indexOf('/') + 1));
  const file = basename(inner);
  return [`path:${inner}`, `file:${file}`, `stem:${stemOf(file)}`];
}

function stemOf(file: string): string {
  return file.replace(IMAGE_ENDING, '');
}

type ClassIndex = ReturnType<typeof indexClasses>;

function indexClasses(classNames: readonly string[]) {
  const labels = new Map(classNames.map((name, label) => [normalizeName(name), label]));
  /** Lengths of the names, the longest first. */
  const lengths = [...new Set([...labels.keys()].map((name) => name.length))].sort((a, b) => b - a);
  return { labels, lengths };
}

/**
 * The image of a line as one of {@link namesOf}, its label, and the text after the image. Undefined for a line of another
 * image. A single word is taken for an image without a class.
 */
function parseLine(text: string, images: ImageIndex, classes: ClassIndex) {
  const readings: { name: string; label: number | undefined; rest: string }[] = [];
  for (const { start, rest } of splits(text, images.lengths)) {
    const name = findImage(start, images);
    if (name === undefined) continue;
    const reading = { name, label: parseLabel(rest, classes), rest };
    if (reading.label !== undefined) return reading;
    if (readings.push(reading) === MAX_READINGS) break;
  }
  return readings[0] ?? (SEPARATOR.test(text) ? undefined : { name: text, label: undefined, rest: '' });
}

const QUOTED = /^"((?:[^"]|"")*)"/;
const SEPARATOR = /[\s,]/;

/** Splits a line after every name whose part after its last `/` has one of these lengths, the longest name first. */
function* splits(text: string, lengths: ReadonlySet<number>): Generator<{ start: string; rest: string }> {
  const [quoted, inner] = QUOTED.exec(text.slice(0, MAX_PATH)) ?? [];
  if (quoted !== undefined && /^([\s,]|$)/.test(text.slice(quoted.length))) {
    yield { start: inner!.replaceAll('""', '"'), rest: text.slice(quoted.length).replace(/^\s*[,\s]\s*/, '') };
    return;
  }
  const ends: number[] = [];
  let lastPart = 0;
  for (let i = 1; i <= Math.min(text.length, MAX_PATH); i++) {
    if (text[i - 1] === '/') lastPart = i;
    const isEnd = i === text.length || (SEPARATOR.test(text[i]!) && !SEPARATOR.test(text[i - 1]!));
    if (isEnd && lengths.has(i - lastPart)) ends.push(i);
  }
  for (const end of ends.reverse()) yield { start: text.slice(0, end), rest: text.slice(end).replace(/^[\s,]+/, '') };
}

/** Which of {@link namesOf} a line has; undefined for an image that does not exist or is in another part. */
function findImage(text: string, { names, own, others }: ImageIndex): string | undefined {
  const file = text.slice(text.lastIndexOf('/') + 1);
  const name = [`file:${file}`, `stem:${stemOf(file)}`].find((each) => names.has(each));
  if (name === undefined) return undefined;
  const path = text.replace(/^\.\//, '');
  const folders = path.split('/').slice(0, -1);
  if (folders.length > 0 && names.has(`path:${path}`)) return `path:${path}`;
  let [start, ownFolders, hasOther] = [0, 0, false];
  for (const folder of folders) {
    start += folder.length + 1;
    const part = folder.toLowerCase();
    if (others.has(part)) hasOther = true;
    if (!own.has(part) || ++ownFolders > MAX_READINGS) continue;
    const inner = `path:${path.slice(start)}`;
    if (names.has(inner)) return inner;
  }
  return hasOther && ownFolders === 0 ? undefined : name;
}

/** The label at the start of a text: the longest name of a class, or a number. */
function parseLabel(text: string, { labels, lengths }: ClassIndex): number | undefined {
  const start = text.slice(0, MAX_PATH);
  const number = (word: string) => (/^\d+$/.test(word) && Number(word) < labels.size ? Number(word) : undefined);
  const quoted = QUOTED.exec(start)?.[1];
  if (quoted !== undefined) return labels.get(quoted.replaceAll('""', '"')) ?? number(quoted);
  for (const end of lengths) {
    if (end > text.length || (end < text.length && !SEPARATOR.test(text[end]!))) continue;
    const label = labels.get(text.slice(0, end));
    if (label !== undefined) return label;
  }
  return number(/^[^\s,]*/.exec(start)![0]);
}

function readList(file: string): string {
  let text: string;
  try {
    text = readText(file, { limit: MAX_BYTES });
  } catch (error) {
    throw refusal(file, `${(error as Error).message}, expected a list that can be read`, 'check the file');
  }
  const placeholder = describePlaceholder(text, file);
  if (placeholder !== undefined) throw refusal(file, placeholder, 'then try again');
  return text;
}

function refusal(file: string, found: string, remedy: string): DataError {
  return new DataError(`Cannot use the labels of ${file}: ${found}; ${remedy}`);
}
