/** Fills slots: what a data thread does, and the main thread without one. */
import { createPainter } from '../images/augment.js';
import { changesOfViews } from '../images/views.js';
import type { PixelDataset } from '../sets/idx-dataset.js';
import { createFileFiller } from './file-filler.js';
import { changesOf, createOrders, type Filler, type FillSetup, placesOf, rangeOf } from './fill-task.js';
import { slotViews } from './slots.js';

/** Prepares the filling; what it returns is for one thread. @throws ConfigError for options that do not fit. */
export function createFiller(setup: FillSetup): Filler {
  const { dataset, ...rest } = setup;
  return dataset.kind === 'files' ? createFileFiller({ ...rest, dataset }) : createPixelFiller({ ...rest, dataset });
}

/** Images in memory: filled when `fill` returns. */
function createPixelFiller(setup: FillSetup<PixelDataset>): Filler {
  const { dataset, batchSize, inputSize, inputChannels, data } = setup;
  const paint = createPainter(dataset, data, inputSize, inputChannels, setup.meanImage);
  const orderOf = createOrders(setup);
  const views = setup.slots.map((slot) => slotViews(slot, batchSize, inputSize, inputChannels));
  const plain = changesOfViews(setup.views ?? 1, data.resize, inputSize);
  const sourceValues = dataset.height * dataset.width * dataset.channels;
  const inputValues = inputSize * inputSize * inputChannels;

  return {
    fill(task) {
      const training = task.kind === 'training';
      const { from, count, epoch } = rangeOf(setup, task.kind, task.number);
      const order = orderOf(task.kind, epoch);
      const set = training ? dataset.train : dataset.test;
      const { images, labels } = views[task.slot]!;
      const { begin, end } = placesOf(count, task);
      for (let i = begin; i < end; i++) {
        const index = order ? order[from + i]! : from + i;
        const changes = training ? changesOf(setup, index, epoch, from + i) : plain[task.number % plain.length]!;
        paint(images, i * inputValues, set.images, index * sourceValues, changes);
        labels[i] = set.labels[index]!;
      }
      return undefined;
    },
    close() {},
  };
}
