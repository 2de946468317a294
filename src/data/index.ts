/** Data sets in, batches in shared memory out. */

export { type Batch, type BatchFeeder, type FeedOptions, openFeeder } from './batches/feeder.js';
export {
  createSlot,
  floatLayout,
  imageBytes,
  layoutOf,
  type SlotLayout,
  slotBytes,
  slotViews,
} from './batches/slots.js';
export type { UnreadableImage } from './batches/unreadable.js';
export { type CheckReport, checkImages, requireTestImage, type SetReport } from './check.js';
export { fetchSet, hasSet } from './fetch/fetch.js';
export { FETCHABLE, FETCHABLE_NAMES, type FetchableName, type FetchableSet } from './fetch/sets.js';
export { type ImageOptions, needsStatistics, type Views } from './images/augment.js';
export { IMAGENET_COLOURS } from './images/colours.js';
export { channelsFor } from './images/decode.js';
export { type DecodeRate, measureDecoding } from './images/decode-rate.js';
export { progressNotes } from './images/each-image.js';
export { type ImageSize, openFileTransform } from './images/file-transform.js';
export { retryRead } from './images/retry.js';
export { DEFAULT_QUALITY, describeStored, remarksOnStored, type Stored } from './images/stored.js';
export { CIFAR_SOURCE, cifarKind, findCifar10 } from './sets/cifar.js';
export type { Dataset, FileDataset, ImageFiles, Images, PixelDataset } from './sets/dataset.js';
export { findFashionMnist, loadDataset } from './sets/idx-dataset.js';
export { DATA_FILES, isIdxFolder } from './sets/idx-files.js';
export { normalizeName, sameNames } from './sets/names.js';
export {
  countClasses,
  hasTestImages,
  isCifarData,
  listImages,
  openClassFolders,
  openDataset,
  openImages,
  openUndivided,
  type Selection,
} from './sets/open.js';
export { splitAdvice } from './sets/other-formats.js';
export { withTrainingSample } from './sets/spread.js';
export { describeEndings } from './sets/walk.js';
export type { ShardReport } from './shards/check-shards.js';
export type { PackEstimate } from './shards/estimate.js';
export { packImages } from './shards/pack.js';
export { tryPacking } from './shards/pack-folder.js';
export { divideImages, type Means } from './split.js';
export { isStatistics, keepStatistics, readStatistics, statisticsOf, writeStatistics } from './statistics/cache.js';
export { type Levels, levelsOf } from './statistics/levels.js';
export type { Statistics } from './statistics/statistics.js';
