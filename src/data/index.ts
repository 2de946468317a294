/** The data room: data sets in, batches in shared memory out. */

export { type ImageOptions, needsStatistics } from './augment.js';
export { createSlot, slotBytes, slotViews } from './batches.js';
export { type CheckReport, checkImages, type SetReport } from './check.js';
export { composed, sameNames } from './classes.js';
export {
  type Dataset,
  findFashionMnist,
  type Images,
  loadDataset,
  type PixelDataset,
} from './dataset.js';
export { type Batch, type BatchFeeder, type FeedOptions, openFeeder, type Unreadable } from './feeder.js';
export type { FileDataset, ImageFiles } from './files.js';
export { DATA_FILES, isIdxFolder } from './idx-files.js';
export { type ImageSize, openFilePainter } from './image-input.js';
export { countClasses, openDataset, openImages } from './open.js';
export { type Packed, packImages, tryPacking } from './pack.js';
export { notesOfProgress } from './progress.js';
export { requireTestImage } from './some-image.js';
export type { Statistics } from './statistics.js';
export { isStatistics, keepStatistics, readStatistics, statisticsOf, writeStatistics } from './statistics-cache.js';
export { patiently } from './trouble.js';
export type { Views } from './views.js';
export { endings } from './walk.js';
