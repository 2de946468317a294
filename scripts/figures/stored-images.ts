/** What images of 256 pixels take in shards, and what JPEG changes in their pixels. */
import { DEFAULT_QUALITY } from '../../src/data/images/stored.js';
import type { StoredImages } from '../stored-images.js';
import type { Maker } from './tools/figure.js';
import { counted, markdownTable, percent } from './tools/markdown.js';

const COMMAND = 'node dist/scripts/stored-images.js';

const gigabytes = (bytes: number) => `${(bytes / 1e9).toFixed(0)} GB`;

export const storedImages: Maker<StoredImages> = {
  name: 'stored-images',
  minutes: 0.5,
  commands: [COMMAND],
  needs: 'pip, with Python 3.11 or newer',
  async measure({ run }) {
    return JSON.parse((await run(COMMAND)).printed) as StoredImages;
  },
  blocks: {
    'stored-images'({ photos, raw, jpeg }) {
      const rows = jpeg.map(({ quality, imageBytes, imagenetBytes, rms, large, largest }) => [
        `\`--quality ${quality}\`${quality === DEFAULT_QUALITY ? ' (default)' : ''}`,
        `${(imageBytes / 1000).toFixed(0)} kB`,
        gigabytes(imagenetBytes),
        rms.toFixed(1),
        percent(large, 1),
        largest,
      ]);
      const header = ['stored as', 'an image', 'ImageNet', 'difference, root mean square', 'above 8', 'largest'];
      const exact = ['`--raw`', `${(raw.imageBytes / 1000).toFixed(0)} kB`, gigabytes(raw.imagenetBytes), 0, 0, 0];
      return [
        markdownTable(header, [...rows, exact]),
        '',
        `Measured on ${counted(photos.length, 'photo')} of scikit-image and scikit-learn, scaled to 256 pixels; differences in grey levels of 0 to 255. ImageNet are its 1,281,167 training and 50,000 test images, with the entries of a tar file, if they are as those photos: the command measures your images before it starts.`,
      ].join('\n');
    },
  },
};
