/** The sizes of the TensorFlow library, from the list of its wheels. */
import { buildFor, gigabytesOf } from '../../src/native/install/wheels.js';
import type { Computed } from './tools/figure.js';

const build = (flavour: 'cpu' | 'gpu') => buildFor('linux', 'x64', flavour);

export const library: Computed = {
  name: 'library',
  blocks: {
    sizes() {
      const { download, disk, fetching } = gigabytesOf(build('gpu'));
      const megabytes = 1000 * gigabytesOf(build('cpu')).download;
      return `The library is a download of ${megabytes.toFixed(0)} MB. With an NVIDIA GPU it is ${download.toFixed(1)} GB, which takes ${disk.toFixed(1)} GB on the disk, and ${fetching.toFixed(1)} GB during the download.`;
    },
    gpu() {
      const { download, disk, fetching } = gigabytesOf(build('gpu'));
      return `${build('gpu').wheels.length} wheels, ${download.toFixed(1)} GB to download, ${disk.toFixed(1)} GB on the disk, ${fetching.toFixed(1)} GB during the download`;
    },
  },
};
