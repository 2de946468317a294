/** Walks the folders of one part of a data set: its images, what is passed over, and where links lead. */
import { readdirSync, realpathSync, statSync } from 'node:fs';
import { extname, join, sep } from 'node:path';
import { DataError } from '../errors.js';
import { isOfSystem } from './trouble.js';

/** Endings of what is decoded; which of the formats a file is its content says. */
export const IMAGE_ENDING = /\.(jpe?g|jpe|jfif|jfi|jif|pjpe?g|pjp|png|gif|webp)$/i;

/** Endings of images that are not decoded. */
const OTHER_IMAGES: ReadonlySet<string> = new Set(
  [
    'bmp dib tif tiff heic heif hif avif jp2 j2k jpf jpx jpm jxl jxr svg svgz ico psd tga pcx',
    'ppm pgm pbm pnm exr hdr',
  ]
    .concat(['dng raw cr2 cr3 nef arw orf rw2 raf mpo apng dcm eps'])
    .flatMap((list) => list.split(' ')),
);

/** How many files were passed over, by ending in small letters, without its dot; '' is none. */
export type PassedOver = Readonly<Record<string, number>>;

/** A part of a data set, `train` or `val`. */
export interface PartWalk {
  /** Names of the folders in it, but hidden ones, sorted by their characters' codes. */
  folders(): string[];
  /**
   * Paths from the data set's folder of the images in the part, or in one of its folders and those below, sorted by their
   * characters' codes.
   * @throws DataError for a folder that cannot be listed, and for a link to a folder that is walked anyway.
   */
  images(folder?: string): string[];
}

interface Entry {
  name: string;
  isFolder: boolean;
  isLink: boolean;
}

/**
 * Opens a walk. Each folder is gone through once: a link leads elsewhere, or the walk ends.
 * @param passedOver counts files that are no images by their names.
 */
export function openWalk(root: string, part: string, passedOver: Record<string, number> = {}): PartWalk {
  const top = realOf(join(root, part));
  let inPart: Map<string, Entry> | undefined;
  const entriesOfPart = () => {
    inPart ??= new Map(entriesOf(join(root, part)).map((entry) => [entry.name, entry]));
    return inPart;
  };
  /** By real path: the path by which it was come to, and the link on the way, if any. */
  const seen = new Map<string, { path: string; link?: string | undefined }>([[top, { path: part }]]);

  /** @param link the last one on the way here. */
  function walk(at: string, real: string, link: string | undefined, found: string[]): void {
    for (const entry of entriesOf(join(root, at))) {
      const { name } = entry;
      if (name.startsWith('.')) continue;
      if (entry.isFolder) enter(at, real, entry, link, found);
      else if (IMAGE_ENDING.test(name)) found.push(`${at}/${name}`);
      else passOver(name);
    }
  }

  function enter(at: string, parent: string, { name, isLink }: Entry, above: string | undefined, found: string[]) {
    const path = `${at}/${name}`;
    const real = isLink ? realOf(join(root, path)) : join(parent, name);
    const link = isLink ? path : above;
    if (isLink && (isIn(parent, real) || isIn(top, real))) throw leadsBack(root, path, real);
    const other = seen.get(real);
    if (other) throw twice(root, real, other, { path, link });
    seen.set(real, { path, link });
    walk(path, real, link, found);
  }

  function passOver(name: string): void {
    const ending = extname(name).slice(1).toLowerCase();
    const key = /^[a-z0-9_]{0,12}$/.test(ending) ? ending : 'others';
    passedOver[key] = (passedOver[key] ?? 0) + 1;
  }

  return {
    folders: () => foldersOf([...entriesOfPart().values()]),
    images(folder) {
      const found: string[] = [];
      if (folder === undefined) walk(part, top, undefined, found);
      else {
        const entry = entriesOfPart().get(folder);
        if (entry) enter(part, top, entry, undefined, found);
      }
      return found.sort();
    },
  };
}

/** Names of the folders in a folder, but hidden ones, sorted by their characters' codes. */
export function foldersIn(folder: string): string[] {
  return foldersOf(entriesOf(folder));
}

function foldersOf(entries: readonly Entry[]): string[] {
  return entries
    .filter(({ name, isFolder }) => isFolder && !name.startsWith('.'))
    .map(({ name }) => name)
    .sort();
}

/** Names in a folder, sorted; none where there is none, or it may not be looked into. @throws DataError as `images` does. */
export function namesIn(folder: string): string[] {
  try {
    return readdirSync(folder).sort();
  } catch (error) {
    if (isOfSystem(error)) throw unlisted(folder, error);
    return [];
  }
}

/** Whether there is a folder. What the system does not let us look at, or has too long a name, is none. */
export function isFolder(path: string): boolean {
  try {
    return statSync(path).isDirectory();
  } catch (error) {
    if (isOfSystem(error)) throw unlisted(path, error); // else a class would be gone in silence
    return false;
  }
}

/** What people are told of files that are images, and are passed over; nothing without any. */
export function passedOverImages(passedOver: PassedOver): string | undefined {
  const images = endings(Object.entries(passedOver).filter(([ending]) => OTHER_IMAGES.has(ending)));
  return images === '' ? undefined : `${images} passed over: only JPEG, PNG, GIF and WebP files are read; convert them`;
}

/** Numbers of files by ending, the most first: `12 .bmp files, 1 file without an ending`. */
export function endings(counts: readonly (readonly [ending: string, count: number])[]): string {
  return [...counts]
    .sort(([, a], [, b]) => b - a)
    .map(([ending, count]) => {
      const files = `file${count === 1 ? '' : 's'}`;
      if (ending === '') return `${count} ${files} without an ending`;
      return ending === 'others' ? `${count} other ${files}` : `${count} .${ending} ${files}`;
    })
    .join(', ');
}

function entriesOf(folder: string): Entry[] {
  try {
    return readdirSync(folder, { withFileTypes: true }).map((entry) => {
      const isLink = entry.isSymbolicLink();
      return { name: entry.name, isLink, isFolder: isLink ? isFolder(join(folder, entry.name)) : entry.isDirectory() };
    });
  } catch (error) {
    if (error instanceof DataError) throw error;
    throw unlisted(folder, error);
  }
}

function realOf(folder: string): string {
  try {
    return realpathSync.native(folder);
  } catch (error) {
    throw unlisted(folder, error);
  }
}

/** Whether a folder is another one, or below it. */
function isIn(folder: string, other: string): boolean {
  return folder === other || folder.startsWith(other.endsWith(sep) ? other : other + sep);
}

function unlisted(folder: string, error: unknown): DataError {
  return new DataError(
    `Cannot list the folder ${folder}: ${(error as Error).message}, expected a folder that can be read; check it`,
    { cause: error },
  );
}

const ONCE = 'expected every folder once, and links to folders elsewhere only; take the link away';

function leadsBack(root: string, link: string, target: string): DataError {
  return new DataError(
    `Cannot use the images of ${root}: the link ${link} leads back to ${target}, which it lies in, so the same images would come again and again, ${ONCE}`,
  );
}

type Seen = { path: string; link?: string | undefined };

function twice(root: string, real: string, first: Seen, second: Seen): DataError {
  const ways = [first, second].map(({ path, link }) =>
    link === undefined ? path : link === path ? `the link ${link}` : `${path} by way of the link ${link}`,
  );
  return new DataError(
    `Cannot use the images of ${root}: ${ways[0]} and ${ways[1]} are one folder, ${real}, so its images would come twice, ${ONCE}`,
  );
}
