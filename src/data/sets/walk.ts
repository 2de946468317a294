/** Walks the folders of one part of a data set: its images, what is passed over, and where links lead. */
import { extname, join, resolve, sep } from 'node:path';
import { DataError } from '../../errors.js';
import { type Entry, entriesOf, foldersOf, lostLink, realOf, targetOf } from './list-folder.js';

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

/** Folders that were gone through, by real path: the path by which each was come to, and the link on the way, if any. */
export type Seen = Map<string, Way>;

interface Way {
  part: string;
  path: string;
  link?: string | undefined;
}

export interface WalkOptions {
  /** Counts files that are no images by their names. */
  passedOver?: Record<string, number>;
  /** Shared by the walks of both parts: no image is to be in both. */
  seen?: Seen;
  /** The other part, if its images are to be others. */
  other?: string | undefined;
}

/**
 * Opens a walk. Each folder is gone through once: a link leads elsewhere, or the walk ends.
 * @throws DataError for a part that the other one has gone through.
 */
export function openWalk(root: string, part: string, options: WalkOptions = {}): PartWalk {
  const { passedOver = {}, seen = new Map() as Seen } = options;
  const top = realOf(join(root, part));
  const otherTop = options.other === undefined ? undefined : realOf(join(root, options.other));
  const topLink = targetOf(join(root, part)) === undefined ? undefined : part;
  see(top, { part, path: part, link: topLink });
  let inPart: Map<string, Entry> | undefined;
  const entriesOfPart = () => {
    if (inPart) return inPart;
    const entries = entriesOf(join(root, part));
    for (const entry of entries) refuseLost(part, entry);
    inPart = new Map(entries.map((entry) => [entry.name, entry]));
    return inPart;
  };

  function see(real: string, way: Way): void {
    const before = seen.get(real);
    if (before) throw before.part === way.part ? twice(root, real, before, way) : inBoth(root, real, before, way);
    seen.set(real, way);
  }

  /** @param link the last one on the way here. */
  function walk(at: string, real: string, link: string | undefined, found: string[]): void {
    for (const entry of at === part ? entriesOfPart().values() : entriesOf(join(root, at))) {
      const { name } = entry;
      if (name.startsWith('.')) continue;
      if (entry.isFolder) enter(at, real, entry, link, found);
      else if (IMAGE_ENDING.test(name)) {
        if (entry.isLink) refuseOfOther(`${at}/${name}`, real);
        found.push(`${at}/${name}`);
      } else {
        refuseLost(at, entry);
        passOver(name);
      }
    }
  }

  function enter(at: string, parent: string, { name, isLink }: Entry, above: string | undefined, found: string[]) {
    const path = `${at}/${name}`;
    const real = isLink ? realOf(join(root, path)) : join(parent, name);
    const link = isLink ? path : above;
    if (isLink && (isIn(parent, real) || isIn(top, real))) throw leadsBack(root, path, real);
    see(real, { part, path, link });
    walk(path, real, link, found);
  }

  /** A link that leads nowhere may have been a class, or a folder of a class: then its images would be gone in silence. */
  function refuseLost(at: string, { name, lost }: Entry): void {
    if (lost === undefined || name.startsWith('.') || IMAGE_ENDING.test(name)) return;
    if (at === part || extname(name) === '') throw lostLink(root, `${at}/${name}`, lost);
  }

  /** A link to a file is as good as a copy, unless that is an image of the other part. */
  function refuseOfOther(path: string, parent: string): void {
    if (otherTop === undefined) return;
    const target = resolve(parent, targetOf(join(root, path)) ?? '');
    const inner = isIn(target, otherTop) ? target.slice(otherTop.length) : '';
    if (!IMAGE_ENDING.test(inner) || /[\\/]\./.test(inner)) return; // none that is read there
    throw inBoth(root, target, { part, path, link: path }, { part: '', path: `${options.other}${inner}` });
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
      if (folder === undefined) walk(part, top, topLink, found);
      else {
        const entry = entriesOfPart().get(folder);
        if (entry) enter(part, top, entry, topLink, found);
      }
      return found.sort();
    },
  };
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

/** Whether a folder is another one, or below it. */
function isIn(folder: string, other: string): boolean {
  return folder === other || folder.startsWith(other.endsWith(sep) ? other : other + sep);
}

const ONCE = 'expected every folder once, and links to folders elsewhere only; take the link away';

function leadsBack(root: string, link: string, target: string): DataError {
  return new DataError(
    `Cannot use the images of ${root}: the link ${link} leads back to ${target}, which it lies in, so the same images would come again and again, ${ONCE}`,
  );
}

function twice(root: string, real: string, first: Way, second: Way): DataError {
  return new DataError(
    `Cannot use the images of ${root}: ${shown(first)} and ${shown(second)} are one folder, ${real}, so its images would come twice, ${ONCE}`,
  );
}

function inBoth(root: string, real: string, first: Way, second: Way): DataError {
  return new DataError(
    `Cannot use the images of ${root}: ${shown(first)} and ${shown(second)} are the same, ${real}, so the net would be tested on images that it learns from, expected other images in either part; take one away, or, to try a training out, make all of val a link to train`,
  );
}

function shown({ path, link }: Way): string {
  if (link === undefined) return path;
  return link === path ? `the link ${link}` : `${path} by way of the link ${link}`;
}
