/** `data split`: divides class folders into training and test images. Loads no TensorFlow. */
import { divideImages, openUndivided, progressNotes, retryRead } from '../data/index.js';
import { count } from '../numbers.js';
import { shellWord } from '../printable.js';
import { selectionOf } from './data.js';
import type { Input, Services } from './services.js';

interface SplitOptions {
  out: string;
  valShare: number;
  seed?: number;
  copy?: boolean;
  link?: boolean;
}

/**
 * Writes the images into a new folder with `train` and `val`: the same choice that `--val-share` makes.
 * @throws DataError for a folder that is not one of class folders, or is divided already, and for a new folder that exists.
 */
export async function dataSplit(
  { argument: folder, options }: Input<SplitOptions, string>,
  { stdout, stderr }: Services,
): Promise<number> {
  const { out, valShare, copy, link } = options;
  const { seed } = selectionOf(options);
  const { part, dataset } = await retryRead(folder, () => openUndivided(folder, { valShare, seed }));
  const means = copy ? 'copy' : link ? 'link' : 'either';
  const progress = progressNotes('divided', (text) => stderr.print(text));
  const { linked, copied } = divideImages(dataset, { out, part, means, progress });
  const { train, test, classNames, ignored, remarks = [] } = dataset;
  stderr.print(...remarks.map((remark) => `${folder}: ${remark}`));
  const how = [linked > 0 && `${count(linked)} hard links`, copied > 0 && `${count(copied)} copies`].filter(Boolean);
  const rest = ignored > 0 ? `; ${count(ignored)} other file${ignored === 1 ? '' : 's'} left out` : '';
  stdout.print(
    `${out}: ${count(train.count)} training and ${count(test.count)} test images of ${count(classNames.length)} classes (${how.join(', ')})${rest}; train on it with --data ${shellWord(out)}`,
  );
  return 0;
}
