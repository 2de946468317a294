/** Labels of images that lie side by side: a line for each, as ImageNet's validation set comes. */
import { existsSync } from 'node:fs';
import { basename, join } from 'node:path';
import { cut, DataError } from '../errors.js';
import { placeholder } from '../file-kind.js';
import { readText } from '../read-json.js';

/** Names under which the file is looked for, beside `val` and in it. */
export const LABEL_FILES = ['val_labels.txt', 'val.txt', 'LOC_val_solution.csv'] as const;

/** A line for each of a million images and more. */
const MAX_BYTES = 2 ** 26;

export function findLabelsFile(folder: string): string | undefined {
  return [folder, join(folder, 'val')].flatMap((at) => LABEL_FILES.map((name) => join(at, name))).find(existsSync);
}

/**
 * The labels of images. A line is a file's name, with or without its ending, and then its class: a class folder's name,
 * or else its number from 0 in the sorted list. Between them are blanks or a comma; what follows the class is passed
 * over. So Caffe's `val.txt` and Kaggle's `LOC_val_solution.csv` are understood, its heading included.
 * @param paths the images; only the last part of each counts. Lines of other images are passed over.
 * @returns a label for each path.
 * @throws DataError for a line that says no class, or an image without a line.
 */
export function readLabels(file: string, classNames: readonly string[], paths: readonly string[]): number[] {
  const byName = new Map<string, number | undefined>(paths.map((path) => [stem(path), undefined]));
  const labelOf = new Map(classNames.map((name, label) => [name, label]));
  let number = 0;
  for (const line of linesOf(listIn(file))) {
    number++;
    const [name, text] = line.trim().split(/[\s,]+/, 2);
    if (!name || (number === 1 && name === 'ImageId')) continue;
    const label = text === undefined ? undefined : (labelOf.get(text) ?? indexOf(text, classNames.length));
    if (label === undefined) {
      throw refusal(
        file,
        `line ${number} says ${text === undefined ? 'no class' : `the class ${cut(text)}`}, expected "<file> <class>" with the name of one of the ${classNames.length} class folders of train, or its number from 0 in their sorted list`,
        "a list with one number a line, in ILSVRC's own order of classes, has to be translated first",
      );
    }
    if (byName.has(stem(name))) byName.set(stem(name), label);
  }
  return paths.map((path) => {
    const label = byName.get(stem(path));
    if (label !== undefined) return label;
    throw refusal(
      file,
      `it has no line for ${path}, expected one for each image of val`,
      'add it, or take the image away',
    );
  });
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

function stem(path: string): string {
  return basename(path).replace(/\.(jpe?g|png|gif|webp)$/i, '');
}

function refusal(file: string, found: string, remedy: string): DataError {
  return new DataError(`Cannot use the labels of ${file}: ${found}; ${remedy}`);
}
