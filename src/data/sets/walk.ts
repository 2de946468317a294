/** Walks the folders of one part of a data set. Lists its images, counts other files, and checks where links lead. */
import { extname, join, resolve, sep } from 'node:path';
import { DataError } from '../../errors.js';
import { convertHeic, HEIC_ENDING } from '../images/heic.js';
import type { IgnoredFiles } from './dataset.js';
import type { ListedFolders } from './list-ahead.js';
import { brokenLinkError, type Entry, entriesOf, foldersAmong, linkTarget, realPath } from './list-folder.js';

/** Endings of files that may be images; the content decides the format. */
export const IMAGE_ENDING = /\.(jpe?g|jpe|jfif|jfi|jif|pjpe?g|pjp|png|gif|webp)$/i;

/** Endings of image formats that are not decoded. */
const OTHER_IMAGES =
  /^(bmp|dib|tiff?|hei[cf]s?|hif|avif|jp2|j2k|jpf|jpx|jpm|jxl|jxr|svgz?|ico|psd|tga|pcx|p[pgbn]m|exr|hdr|dng|raw|cr[23]|nef|arw|orf|rw2|raf|mpo|apng|dcm|eps)$/;

/** How a folder was reached. */
interface Visit {
  part: string;
  path: string;
  /** The last link on the way. */
  link?: string | undefined;
}

/** Visited folders by real path. */
export type Visited = Map<string, Visit>;

export interface WalkOptions {
  passedOver?: Record<string, number>;
  otherImages?: string[];
  visited?: Visited;
  other?: string | undefined;
  listed?: ListedFolders | undefined;
}

/**
 * Opens a walk of a part of a data set, `train` or `val`. Every folder is visited once: a link must lead elsewhere, or the
 * walk would not end.
 * @param part a folder in `root`; '' for `root` itself.
 * @param options.passedOver counts files that are not images.
 * @param options.otherImages receives the paths of images whose format is not decoded.
 * @param options.visited is shared by the walks of both parts: no image may be in both.
 * @param options.listed folders that were listed ahead.
 * @param options.other the other part, if this part may not share images with it.
 * @throws DataError if the walk of the other part visited this part.
 */
export function openWalk(root: string, part: string, options: WalkOptions = {}) {
  const { passedOver = {}, otherImages = [], visited = new Map() as Visited, other, listed } = options;
  const top = realPath(join(root, part));
  const otherTop = other === undefined ? undefined : realPath(join(root, other));
  const topLink = linkTarget(join(root, part)) === undefined ? undefined : part;
  visit(top, { part, path: part, link: topLink });
  const topEntries = new Map(entriesOf(join(root, part), listed).map((entry) => [entry.name, entry]));
  for (const entry of topEntries.values()) refuseBroken(part, entry);

  function visit(real: string, now: Visit): void {
    const before = visited.get(real);
    if (before && before.part !== now.part) throw sharedError(real, before, now);
    if (before) {
      throw onceError(
        `${describe(before)} and ${describe(now)} are one folder, ${real}, so its images would count twice`,
      );
    }
    visited.set(real, now);
  }

  function walk(at: string, real: string, link: string | undefined, found: string[]): void {
    for (const entry of at === part ? topEntries.values() : entriesOf(join(root, at), listed)) {
      const { name } = entry;
      if (name.startsWith('.')) continue;
      if (entry.isFolder) enter(at, real, entry, link, found);
      else if (IMAGE_ENDING.test(name)) {
        if (entry.isLink) refuseShared(below(at, name), real);
        found.push(below(at, name));
      } else {
        refuseBroken(at, entry);
        const ending = extname(name).slice(1).toLowerCase();
        const key = /^[a-z0-9_]{0,12}$/.test(ending) ? ending : 'others';
        passedOver[key] = (passedOver[key] ?? 0) + 1;
        if (OTHER_IMAGES.test(ending)) otherImages.push(below(at, name));
      }
    }
  }

  function enter(at: string, parent: string, { name, isLink }: Entry, above: string | undefined, found: string[]) {
    const path = below(at, name);
    const real = isLink ? realPath(join(root, path)) : join(parent, name);
    const link = isLink ? path : above;
    if (isLink && (isIn(parent, real) || isIn(top, real)))
      throw onceError(
        `the link ${path} leads back to ${real}, which contains it, so the same images would be read again and again`,
      );
    visit(real, { part, path, link });
    walk(path, real, link, found);
  }

  /** A broken link may stand for a class, or for a folder of a class: its images must not be missing unnoticed. */
  function refuseBroken(at: string, { name, broken }: Entry): void {
    if (broken === undefined || name.startsWith('.') || IMAGE_ENDING.test(name)) return;
    if (at === part || extname(name) === '') throw brokenLinkError(root, below(at, name), broken);
  }

  /** A link to an image is fine, unless that is an image of the other part. */
  function refuseShared(path: string, parent: string): void {
    if (otherTop === undefined) return;
    const target = resolve(parent, linkTarget(join(root, path)) ?? '');
    const inner = isIn(target, otherTop) ? target.slice(otherTop.length) : '';
    if (!IMAGE_ENDING.test(inner) || /[\\/]\./.test(inner)) return;
    throw sharedError(target, { part, path, link: path }, { part: '', path: `${other}${inner}` });
  }

  function onceError(found: string): DataError {
    return new DataError(
      `Cannot use the images of ${root}: ${found}, expected every folder once, and links to folders elsewhere only; remove the link`,
    );
  }

  function sharedError(real: string, first: Visit, second: Visit): DataError {
    return new DataError(
      `Cannot use the images of ${root}: ${describe(first)} and ${describe(second)} are the same, ${real}, so the net would be tested on images that it learns from, expected different images in the two parts; remove one of them; for a trial, make all of val a link to train`,
    );
  }

  return {
    /** Names of the folders in it, without hidden ones, sorted by code units. */
    folders: () => foldersAmong([...topEntries.values()]),
    /**
     * Paths of all images in the part, or in one of its folders, relative to the data set's folder; sorted by code units.
     * @throws DataError for a folder that cannot be listed, and for a link to a folder that is walked anyway.
     */
    images(folder?: string): string[] {
      const found: string[] = [];
      if (folder === undefined) walk(part, top, topLink, found);
      else enter(part, top, topEntries.get(folder)!, topLink, found);
      return found.sort();
    },
  };
}

export type PartWalk = ReturnType<typeof openWalk>;

/** A path in a folder; '' is the folder of the data set. */
function below(folder: string, name: string): string {
  return folder === '' ? name : `${folder}/${name}`;
}

/** A sentence about ignored files that are images; undefined if there are none. @param paths the files in `root`. */
export function ignoredImages(root: string, passedOver: IgnoredFiles, paths: readonly string[]): string | undefined {
  const images = describeEndings(Object.entries(passedOver).filter(([ending]) => OTHER_IMAGES.test(ending)));
  if (images === '') return undefined;
  const heic = paths.find((path) => HEIC_ENDING.test(path));
  const how = heic === undefined ? '' : `: ${convertHeic(join(root, heic))}`;
  return `${images} ignored: only JPEG, PNG, GIF and WebP files are read; convert them${how}`;
}

/** Numbers of files by ending, the largest first: `12 .bmp files, 1 file without an ending`. */
export function describeEndings(counts: readonly (readonly [ending: string, count: number])[]): string {
  return [...counts]
    .sort(([, a], [, b]) => b - a)
    .map(([ending, count]) => {
      const files = `file${count === 1 ? '' : 's'}`;
      if (ending === '') return `${count} ${files} without an ending`;
      return ending === 'others' ? `${count} other ${files}` : `${count} .${ending} ${files}`;
    })
    .join(', ');
}

/** Whether a folder is the other one, or below it. */
function isIn(folder: string, other: string): boolean {
  return folder === other || folder.startsWith(other.endsWith(sep) ? other : other + sep);
}

function describe({ path, link }: Visit): string {
  if (link === undefined) return path || 'the folder';
  return link === path ? `the link ${link}` : `${path} through the link ${link}`;
}
