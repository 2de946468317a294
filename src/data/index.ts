/** The data room: data sets in, batches in shared memory out. */

export { type Batch, type BatchFeeder, type FeedOptions, openFeeder, type Unreadable } from './batches/feeder.js';
export { createSlot, slotBytes, slotViews } from './batches/slots.js';
export { type CheckReport, checkImages, type SetReport } from './check.js';
export { type ImageOptions, needsStatistics } from './images/augment.js';
export { type ImageSize, openFilePainter } from './images/file-input.js';
export type { FileDataset, ImageFiles } from './images/reader.js';
export { patiently } from './images/retry.js';
export type { Views } from './images/views.js';
export { notesOfProgress } from './progress.js';
export { composed, sameNames } from './sets/classes.js';
export {
  type Dataset,
  findFashionMnist,
  type Images,
  loadDataset,
  type PixelDataset,
} from './sets/idx-dataset.js';
export { DATA_FILES, isIdxFolder } from './sets/idx-files.js';
export { countClasses, openDataset, openImages } from './sets/open.js';
export { endings } from './sets/walk.js';
export { type Packed, packImages, tryPacking } from './shards/pack.js';
export { requireTestImage } from './some-image.js';
export { isStatistics, keepStatistics, readStatistics, statisticsOf, writeStatistics } from './statistics/cache.js';
export type { Statistics } from './statistics/statistics.js';
