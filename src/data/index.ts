/** The data room: data sets in, batches in shared memory out. */
export type { ImageOptions } from './augment.js';
export { slotBytes, slotViews } from './batches.js';
export { DATA_FILES, type Dataset, findFashionMnist, type Images, isIdxFolder, loadDataset } from './dataset.js';
export { type Batch, type BatchFeeder, type FeedOptions, openFeeder } from './feeder.js';
export { type ImageSize, openFilePainter } from './image-input.js';
export type { Views } from './views.js';
