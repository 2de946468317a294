/** The tensors of a reference file (`golden.ts`), rebuilt from its seed. */
import type { Parameter } from '../model/net.js';

/** What a file says of its tensors. */
interface Origin {
  net: string;
  seed: number;
  batch: number;
  classes: number;
}

/** Standard deviations of the kernels in files of `d2l`. Other files have those of their net's table. */
const D2L_DEVIATIONS: Readonly<Record<string, number>> = {
  ...{ conv1: 0.05, conv2: 0.02, conv3: 0.02, conv4: 0.017, conv5: 0.017, fc6: 0.0125, fc7: 0.015, fc8: 0.015 },
};

/** {@link fill} from 0 to below 1; no value is rounded. */
const UNIT = [0.5, 0.5] as const;

/** Fills a parameter with its initial values. @param index its place in the file's list of parameters. */
export function fillParameter(
  values: Float32Array,
  { layer, role, init }: Parameter,
  index: number,
  { net, seed }: Origin,
): void {
  const deviation = isGrey(net) ? D2L_DEVIATIONS[layer]! : init.sd;
  fill(values, seed * 1000 + index, role === 'kernel' ? deviation * Math.sqrt(3) : 0.05);
  if (role === 'kernel') return;
  values.forEach((value, i) => {
    values[i] = init.bias + value;
  });
}

/** Fills the images and the labels of the file's only batch. */
export function fillBatch(
  images: Float32Array | Uint8Array,
  labels: Int32Array,
  { net, seed, batch, classes }: Origin,
): void {
  const [limit, middle] = isGrey(net) ? UNIT : [120, 0];
  fill(images, seed * 1000 + 900, limit, middle);
  const places = new Float64Array(batch);
  fill(places, seed * 1000 + 901, ...UNIT);
  labels.set(places.map((place) => Math.floor(place * classes)));
}

/** `d2l` is the files' name of the net `tutorial`, which reads grey images. */
function isGrey(net: string): boolean {
  return net === 'd2l' || net === 'tutorial';
}

/** The files' generator: an integer hash of the position, as a number from `middle - limit` to below `middle + limit`. */
function fill(values: Float32Array | Float64Array | Uint8Array, seed: number, limit: number, middle = 0): void {
  const offset = Math.imul(seed, 0x9e3779b9);
  // A function called for each of the sixty million values takes four times as long.
  for (let i = 0; i < values.length; i++) {
    let x = (i + offset) | 0;
    x ^= x >>> 16;
    x = Math.imul(x, 0x85ebca6b);
    x ^= x >>> 13;
    x = Math.imul(x, 0xc2b2ae35);
    x ^= x >>> 16;
    values[i] = (2 * ((x >>> 0) / 2 ** 32) - 1) * limit + middle;
  }
}
