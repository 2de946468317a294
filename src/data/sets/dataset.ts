/** What a data set is: images in memory, or image files whose list is in memory. */
import type { Stored } from '../images/stored.js';
import { type Names, packNames } from './names.js';

/** Images in memory and their labels, both on SharedArrayBuffers. */
export interface Images {
  readonly count: number;
  /** [count, height, width, channels], grey levels 0 to 255; with `distinct` that many images. */
  readonly images: Uint8Array;
  /** [count] */
  readonly labels: Uint8Array | Uint16Array;
  /** How many different images there are, if fewer than `count`: image `i` is then image `i % distinct`. */
  readonly distinct?: number;
}

interface DatasetInfo {
  readonly name: string;
  /** Where the data come from, for messages: a folder, or `embedded sample`. */
  readonly source: string;
  /** By label. */
  readonly classNames: readonly string[];
  /** The share of each class that was taken as test images, if there is no folder of them. */
  readonly valShare?: number;
  /** The number of training images that there are, if only some are used. */
  readonly unlimited?: number;
  /** How the files were interpreted where that is not obvious; sentences for the user. */
  readonly remarks?: readonly string[];
}

export interface PixelDataset extends DatasetInfo {
  readonly kind: 'pixels';
  readonly height: number;
  readonly width: number;
  /** 1 for grey; 3 for red, green and blue. */
  readonly channels: 1 | 3;
  readonly train: Images;
  readonly test: Images;
}

/** The images of one part, in the order of classes and of paths within a class. All arrays are on SharedArrayBuffers. */
export interface ImageFiles {
  readonly count: number;
  /** [count] */
  readonly labels: Uint16Array;
  /** [count] Paths relative to the data set's folder, with `/`. */
  readonly names: Names;
  /** If the images are packed: the shards' file names, and [count] the shard of an image and where its bytes are in it. */
  readonly places?: {
    readonly shards: readonly string[];
    readonly shard: Uint32Array;
    readonly offset: Float64Array;
    readonly bytes: Float64Array;
  };
}

/** How many files were ignored, by lower-case ending without its dot; '' stands for no ending. */
export type IgnoredFiles = Readonly<Record<string, number>>;

/** A data set whose images are read and decoded when a batch needs them. */
export interface FileDataset extends DatasetInfo {
  readonly kind: 'files';
  readonly folder: string;
  readonly train: ImageFiles;
  readonly test: ImageFiles;
  /** Number of files in the class folders that are not images. */
  readonly ignored: number;
  /** The same by ending; absent for packed images. */
  readonly passedOver?: IgnoredFiles;
  /** The paths of those that are images in a format that is not decoded; absent for packed images. */
  readonly otherImages?: readonly string[];
  /** Key of the original images of a packed data set, so that both share their statistics. Absent for a folder. */
  readonly key?: string;
  /** How packed images are stored; absent for a folder, and for files that were packed unchanged. */
  readonly stored?: Stored;
  /** Files that were left out when the images were packed, because they cannot be read. */
  readonly leftOut?: readonly { readonly path: string; readonly reason: string }[];
}

export type Dataset = PixelDataset | FileDataset;

/** The list of image files as the data workers share it. */
export function imageFiles(paths: readonly string[], labels: ArrayLike<number>): ImageFiles {
  const shared = new Uint16Array(new SharedArrayBuffer(2 * paths.length));
  shared.set(labels);
  return { count: paths.length, labels: shared, names: packNames(paths) };
}
