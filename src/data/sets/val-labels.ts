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

/** Enough for more than a million images. */
const MAX_BYTES = 2 ** 26;
/** No path is longer. */
const MAX_PATH = 4096;
/** Interpretations of a line that are tried, so that no list takes forever. */
const MAX_READINGS = 16;

/** @param val the name of the folder with the images. */
export function findLabelsFile(folder: string, val: string): string | undefined {
  return [folder, join(folder, val)].flatMap((at) => LABEL_FILES.map((name) => join(at, name))).find(exists);
}

/** How a line names an image: by its path, its file name, or its file name without the ending. Paths have priority. */
const NAME_KINDS = ['path', 'file', 'stem'] as const;
type NameKind = (typeof NAME_KINDS)[number];

/**
 * Reads the labels of images. A line has a file name, with or without its ending, and a class: the name of a class folder,
 * or its number from 0 in the sorted list. Blanks, tabs or a comma separate them; the rest of the line is ignored. So
 * Caffe's `val.txt`, Kaggle's `LOC_val_solution.csv` (with its heading) and Tiny ImageNet's `val_annotations.txt` can be
 * read. Names may contain blanks and commas, or be in quotes: the longest name of an existing image counts, then the longest
 * name of a class.
 * @param paths the images, all of one part. Lines of other images are ignored, also those of other parts, such as
 * `train/1.png`. A line for `val/1.png` counts before one for `1.png`.
 * @returns a label for each path.
 * @throws DataError for a line without a known class, two lines with different classes, or an image without a line.
 */
export function readLabels(file: string, classNames: readonly string[], paths: readonly string[]): number[] {
  const images = indexImages(paths);
  const classes = indexClasses(classNames);
  const labels: Record<NameKind, Map<string, { label: number; line: number }>> = {
    path: new Map(),
    file: new Map(),
    stem: new Map(),
  };
  let line = 0;
  let firstHint: string | undefined;
  for (const raw of linesOf(readList(file))) {
    line++;
    const text = normalizeName(raw.trim());
    if (text === '' || (line === 1 && /^"?ImageId\b/.test(text))) continue;
    const entry = parseLine(text, images, classes);
    if (!entry) {
      firstHint ??= separatorHint(text, line);
      continue;
    }
    const { kind, name, label, rest } = entry;
    if (label === undefined) {
      throw refusal(
        file,
        `line ${line} says ${rest === '' ? 'no class' : `the class ${truncate(rest)}`}, expected "<file> <class>" with the name of one of the ${classNames.length} class folders of train, or its number from 0 in their sorted list`,
        separatorHint(text, line) ??
          "a list with one number a line, in ILSVRC's own order of classes, has to be translated first",
      );
    }
    const before = labels[kind].get(name);
    if (before && before.label !== label) {
      throw refusal(
        file,
        `lines ${before.line} and ${line} say different classes of ${truncate(name)}, expected one for each image`,
        'remove one, or name files of one name with their folders',
      );
    }
    labels[kind].set(name, { label, line });
  }
  return paths.map((path) => {
    const names = namesOf(path);
    const kind = NAME_KINDS.find((each) => labels[each].has(names[each]));
    if (kind !== undefined) return labels[kind].get(names[kind])!.label;
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

interface ImageIndex extends Record<NameKind, ReadonlySet<string>> {
  /** Lengths that a file name in a line may have. */
  lengths: ReadonlySet<number>;
  /** Lower-case folder names of the part that the images are in, and of other parts. */
  own: ReadonlySet<string>;
  others: ReadonlySet<string>;
}

/** If the test images are in `test`, lines with `val` can only mean them. */
const VAL: readonly string[] = VAL_NAMES.slice(0, 3);
const TEST: readonly string[] = VAL_NAMES.slice(3);

function indexImages(paths: readonly string[]): ImageIndex {
  const sets = { path: new Set<string>(), file: new Set<string>(), stem: new Set<string>() };
  const lengths = new Set<number>();
  for (const path of paths) {
    const names = namesOf(path);
    for (const kind of NAME_KINDS) sets[kind].add(names[kind]);
    lengths.add(names.file.length);
    // A line may have no ending, or another one than the image: `.jpg` to `.pjpeg`, see IMAGE_ENDING.
    for (const ending of [0, 4, 5, 6]) lengths.add(names.stem.length + ending);
  }
  const part = paths[0]?.slice(0, paths[0].indexOf('/')).toLowerCase() ?? '';
  const isTest = TEST.includes(part);
  return {
    ...sets,
    lengths,
    own: new Set([part, ...VAL, ...(isTest ? TEST : [])]),
    others: new Set([...TRAIN_NAMES, ...(isTest ? [] : TEST)]),
  };
}

/** @param path relative to the data set's folder. */
function namesOf(path: string): Record<NameKind, string> {
  const inner = normalizeName(path.slice(path.indexOf('/') + 1));
  const file = basename(inner);
  return { path: inner, file, stem: file.replace(IMAGE_ENDING, '') };
}

interface ClassIndex {
  labels: ReadonlyMap<string, number>;
  /** Lengths of the names, the longest first. */
  lengths: readonly number[];
}

function indexClasses(classNames: readonly string[]): ClassIndex {
  const labels = new Map(classNames.map((name, label) => [normalizeName(name), label]));
  return { labels, lengths: [...new Set([...labels.keys()].map((name) => name.length))].sort((a, b) => b - a) };
}

interface Entry {
  kind: NameKind;
  name: string;
  label: number | undefined;
  /** The line after the image's name. */
  rest: string;
}

/** Undefined for a line of another image. A single word is taken for an image without a class. */
function parseLine(text: string, images: ImageIndex, classes: ClassIndex): Entry | undefined {
  let unlabelled: Entry | undefined;
  let readings = 0;
  for (const { name, rest } of splits(text, images.lengths)) {
    const image = findImage(name, images);
    if (!image) continue;
    const label = parseLabel(rest, classes);
    if (label !== undefined) return { ...image, label, rest };
    unlabelled ??= { ...image, label, rest };
    if (++readings === MAX_READINGS) break;
  }
  return unlabelled ?? (/[\s,]/.test(text) ? undefined : { kind: 'file', name: text, label: undefined, rest: '' });
}

const QUOTED = /^"((?:[^"]|"")*)"/;
const SEPARATOR = /[\s,]/;

/**
 * Splits a line into a name and the rest in every possible way, the longest name first.
 * @param lengths possible lengths of the part of a name after its last `/`.
 */
function* splits(text: string, lengths: ReadonlySet<number>): Generator<{ name: string; rest: string }> {
  const [quoted, inner] = QUOTED.exec(text.slice(0, MAX_PATH)) ?? [];
  if (quoted !== undefined && /^([\s,]|$)/.test(text.slice(quoted.length))) {
    yield { name: inner!.replaceAll('""', '"'), rest: text.slice(quoted.length).replace(/^\s*[,\s]\s*/, '') };
    return;
  }
  const ends: number[] = [];
  let lastPart = 0;
  for (let i = 1; i <= Math.min(text.length, MAX_PATH); i++) {
    if (text[i - 1] === '/') lastPart = i;
    const isEnd = i === text.length || (SEPARATOR.test(text[i]!) && !SEPARATOR.test(text[i - 1]!));
    if (isEnd && lengths.has(i - lastPart)) ends.push(i);
  }
  for (const end of ends.reverse()) yield { name: text.slice(0, end), rest: text.slice(end).replace(/^[\s,]+/, '') };
}

/** The image that a line names; undefined for an image that does not exist or is in another part. */
function findImage(text: string, images: ImageIndex): Pick<Entry, 'kind' | 'name'> | undefined {
  const file = text.slice(text.lastIndexOf('/') + 1);
  const stem = file.replace(IMAGE_ENDING, '');
  const byFile = images.file.has(file);
  if (!byFile && !images.stem.has(stem)) return undefined;
  const path = text.replace(/^\.\//, '');
  const folders = path.split('/').slice(0, -1);
  if (folders.length > 0 && images.path.has(path)) return { kind: 'path', name: path };
  let [start, ownFolders, hasOther] = [0, 0, false];
  for (const folder of folders) {
    start += folder.length + 1;
    const part = folder.toLowerCase();
    if (images.others.has(part)) hasOther = true;
    if (!images.own.has(part) || ++ownFolders > MAX_READINGS) continue;
    const inner = path.slice(start);
    if (images.path.has(inner)) return { kind: 'path', name: inner };
  }
  if (hasOther && ownFolders === 0) return undefined;
  return byFile ? { kind: 'file', name: file } : { kind: 'stem', name: stem };
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

/** Yields one line after the other: a file of nothing but line ends has too many for an array. */
function* linesOf(text: string): Generator<string> {
  for (let from = 0; from <= text.length; ) {
    const end = text.indexOf('\n', from);
    const to = end < 0 ? text.length : end;
    yield text.slice(from, to);
    from = to + 1;
  }
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
