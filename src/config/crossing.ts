/** What images cross to a device as. */
import type { Config } from './config.js';

/** Height of the images of named sets, which are stretched to `data.resize`. */
const SIZES: Readonly<Record<string, number>> = { embedded: 28, 'fashion-mnist': 28, 'cifar-10': 32 };

/** Height of a source's images before they are stretched. Image files are decoded to `data.resize`. */
export function sourceSize({ source, resize }: Pick<Config['data'], 'source' | 'resize'>): number {
  return SIZES[source] ?? resize;
}

/** Bytes of a value of an image: grey levels cross as they are, unless they are stretched or their colours changed. */
export function imageValueBytes(data: Config['data']): 1 | 4 {
  const { brightness, contrast, saturation, resize } = data;
  return brightness + contrast + saturation > 0 || sourceSize(data) !== resize ? 4 : 1;
}
