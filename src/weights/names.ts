/** The names of AlexNet's tensors in other frameworks, which all use PyTorch's layouts; `docs/weights.md` lists them. */
import type { Net } from '../model/net.js';
import { TABLES } from '../model/tables.js';
import type { Portable } from './portable.js';

/** `conv1.weight`, `conv1.bias` (ours), `conv1/weight`, `conv1_w`, `conv1_b`, and Caffe's blobs `conv1.0` and `conv1.1`. */
const NAMED = /^(.+)[./_](weight|w|0|bias|b|1)$/i;
/** Modules with numbers: torchvision's `features.0.weight` to `classifier.6.bias`. */
const NUMBERED = /^(features|classifier)\.(\d+)\.(weight|bias)$/;
const KERNELS = ['weight', 'w', '0'];
/** The kind of layer that each part of torchvision's names counts. */
const PARTS = { features: 'conv', classifier: 'dense' } as const;

/**
 * torchvision's modules of the layers of its AlexNet, `features.0` of `conv1` for example: their numbers count the rows of
 * the table. Undefined for other nets, whose layers keep their names.
 */
export function modulesOf({ options }: Net): ReadonlyMap<string, string> | undefined {
  if (options.table !== 'torchvision') return undefined;
  const rows = TABLES.torchvision.layers;
  const first = rows.findIndex(({ kind }) => kind === 'dropout'); // of the classifier
  return new Map(
    rows.flatMap((row, i) => {
      if (row.kind !== 'conv' && row.kind !== 'dense') return [];
      return [[row.name, i < first ? `features.${i}` : `classifier.${i - first}`] as const];
    }),
  );
}

/** A file of another net may have any number of prefixes; the net's is one of the most frequent ones. */
const MAX_PREFIXES = 8;

/**
 * Finds the net's joined tensors among a file's names; a second name for the same tensor is unexpected. A module that
 * contains the net adds its own name as a prefix (Lightning's `model.`): the prefix that gives the most matches is removed.
 * If a file has two whole nets (`model.` and `ema.`), the caller has to refuse it.
 */
export function matchNames(net: Net, portables: readonly Portable[], names: readonly string[]) {
  const matches = ['', ...prefixesOf(names)].map((prefix) => matchWithPrefix(prefix, net, portables, names));
  const best = matches.reduce((a, b) => (b.names.size > a.names.size ? b : a));
  const whole = matches.filter((each) => each.names.size === portables.length);
  /** If the file has the whole net more than once: each one's name of the first tensor. */
  const nets = whole.length > 1 ? whole.map((each) => each.names.get(portables[0]!)!) : [];
  return { ...best, nets };
}

function matchWithPrefix(prefix: string, net: Net, portables: readonly Portable[], names: readonly string[]) {
  const inner = names.map((name) => (plain(name).startsWith(prefix) ? plain(name).slice(prefix.length) : ''));
  const numbered = numberedLayers(net, inner);
  /** The file's name of each joined tensor that it has. */
  const found = new Map<Portable, string>();
  /** The names that do not belong to the net. */
  const unexpected: string[] = [];
  const removed = new Set<string>();
  for (const [i, name] of names.entries()) {
    const [, module, last] = NAMED.exec(inner[i]!) ?? [];
    const layer = numbered.get(module!) ?? module;
    const role = KERNELS.includes(last?.toLowerCase() ?? '') ? 'kernel' : 'bias';
    const portable = portables.find((each) => each.layer === layer && each.role === role);
    if (portable && !found.has(portable)) {
      found.set(portable, name);
      if (name.endsWith(inner[i]!)) removed.add(name.slice(0, -inner[i]!.length));
    } else unexpected.push(name);
  }
  /** The prefix that was removed from the matching names (`model._orig_mod.`), or ''. */
  return { names: found, unexpected, leftOut: [...removed].filter((each) => each !== '').join(', ') };
}

/** The most frequent prefixes that end in a dot or a slash; of equally frequent ones the shortest first. */
function prefixesOf(names: readonly string[]): string[] {
  const counts = new Map<string, number>();
  for (const name of names) {
    for (const { index } of [...plain(name).matchAll(/[./]/g)].slice(0, MAX_PREFIXES)) {
      const prefix = plain(name).slice(0, index + 1);
      counts.set(prefix, (counts.get(prefix) ?? 0) + 1);
    }
  }
  const sorted = [...counts].sort(([a, many], [b, more]) => more - many || a.length - b.length);
  return sorted.slice(0, MAX_PREFIXES).map(([prefix]) => prefix);
}

/** Removes what PyTorch's DataParallel and `torch.compile` put into names. */
function plain(name: string): string {
  return name.replaceAll(/(^|(?<=\.))(module|_orig_mod)\./g, '');
}

/** The layer of each numbered module, by names without a prefix: the numbers count convolutions, and dense layers. */
function numberedLayers(net: Net, names: readonly string[]): Map<string, string> {
  return new Map(
    Object.entries(PARTS).flatMap(([part, kind]) => {
      const found = names.map((name) => NUMBERED.exec(name)).filter((match) => match?.[1] === part);
      const numbers = [...new Set(found.map((match) => Number(match![2])))].sort((a, b) => a - b);
      const layers = net.layers.flatMap((layer) => (layer.kind === kind ? [layer.name] : []));
      return numbers.slice(0, layers.length).map((number, i) => [`${part}.${number}`, layers[i]!] as const);
    }),
  );
}
