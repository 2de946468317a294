/**
 * Names that other frameworks give to AlexNet's tensors, and which of ours each is. Every one of these has PyTorch's
 * layouts; `docs/weights.md` lists them.
 */
import type { Net } from '../model/net.js';
import type { Portable } from './portable.js';

/** `conv1.weight` and `conv1.bias` (ours), `conv1/weight`, `conv1_w` and `conv1_b`, Caffe's blobs `conv1.0` and `conv1.1`. */
const NAMED = /^(.+)[./_](weight|w|0|bias|b|1)$/i;
/** Of a net whose modules have numbers: torchvision's `features.0.weight` to `classifier.6.bias`. */
const NUMBERED = /^(features|classifier)\.(\d+)\.(weight|bias)$/;
const KERNELS = ['weight', 'w', '0'];

/** What a file's names are. */
export interface Matched {
  /** The file's name of each joined tensor that it has. */
  names: ReadonlyMap<Portable, string>;
  /** Those that are nothing in this net. */
  unexpected: readonly string[];
  /** What stands before the names that were found, and was left out of them: `model._orig_mod.`; '' is nothing. */
  leftOut: string;
  /** Where the file has the whole net more than once: each one's name of the first tensor. */
  nets: readonly string[];
}

/** A file of another net may have any number of prefixes; that of the net is before as many names as it has tensors. */
const MOST_PREFIXES = 8;

/**
 * Finds the net's joined tensors among a file's names; of two names for one tensor the second is unexpected. A module
 * that holds the net puts its own name before all of the net's (Lightning's `model.`): that is left out where it takes
 * more of them for the net's. Which of two whole nets is meant (`model.` and `ema.`) nobody says: both are told.
 */
export function matchNames(net: Net, portables: readonly Portable[], names: readonly string[]): Matched {
  let best = matchBehind('', net, portables, names);
  const nets: string[] = [];
  for (const prefix of ['', ...prefixesOf(names)]) {
    const next = matchBehind(prefix, net, portables, names);
    if (next.names.size > best.names.size) best = next;
    if (next.names.size === portables.length) nets.push(next.names.get(portables[0]!)!);
  }
  return { ...best, nets: nets.length > 1 ? nets : [] };
}

function matchBehind(
  prefix: string,
  net: Net,
  portables: readonly Portable[],
  names: readonly string[],
): Omit<Matched, 'nets'> {
  const inner = names.map((name) => (plain(name).startsWith(prefix) ? plain(name).slice(prefix.length) : ''));
  const numbered = numberedLayers(net, inner);
  const found = new Map<Portable, string>();
  const unexpected: string[] = [];
  const left = new Set<string>();
  for (const [i, name] of names.entries()) {
    const [layer, role] = named(inner[i]!, numbered);
    const portable = portables.find((each) => each.layer === layer && each.role === role);
    if (portable && !found.has(portable)) {
      found.set(portable, name);
      if (name.endsWith(inner[i]!)) left.add(name.slice(0, -inner[i]!.length));
    } else unexpected.push(name);
  }
  return { names: found, unexpected, leftOut: [...left].filter((each) => each !== '').join(', ') };
}

/** What stands before the dots and slashes of names, that before most names first, and of those the shortest. */
function prefixesOf(names: readonly string[]): string[] {
  const counts = new Map<string, number>();
  for (const name of names) {
    for (const { index } of [...plain(name).matchAll(/[./]/g)].slice(0, MOST_PREFIXES)) {
      const prefix = plain(name).slice(0, index + 1);
      counts.set(prefix, (counts.get(prefix) ?? 0) + 1);
    }
  }
  const order = [...counts].sort(([a, many], [b, more]) => more - many || a.length - b.length);
  return order.slice(0, MOST_PREFIXES).map(([prefix]) => prefix);
}

/** Without what PyTorch's DataParallel and `torch.compile` put into names, at any depth. */
function plain(name: string): string {
  return name.replaceAll(/(^|(?<=\.))(module|_orig_mod)\./g, '');
}

function named(name: string, numbered: ReadonlyMap<string, string>): [layer?: string, role?: Portable['role']] {
  const [, layer, last] = NAMED.exec(name) ?? [];
  if (layer === undefined || last === undefined) return [];
  return [numbered.get(layer) ?? layer, KERNELS.includes(last.toLowerCase()) ? 'kernel' : 'bias'];
}

/** Which layer each numbered module is, by names without a prefix: they count through the convolutions, and through the dense layers. */
function numberedLayers(net: Net, names: readonly string[]): Map<string, string> {
  const layers = new Map<string, string>();
  for (const [part, kind] of [
    ['features', 'conv'],
    ['classifier', 'dense'],
  ] as const) {
    const matches = names.map((name) => NUMBERED.exec(name)).filter((match) => match?.[1] === part);
    const numbers = [...new Set(matches.map((match) => Number(match![2])))].sort((a, b) => a - b);
    const own = net.layers.flatMap((layer) => (layer.kind === kind ? [layer.name] : []));
    own.slice(0, numbers.length).forEach((layer, i) => {
      layers.set(`${part}.${numbers[i]}`, layer);
    });
  }
  return layers;
}
