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
}

/** Finds the net's joined tensors among a file's names; of two names for one tensor the second is unexpected. */
export function matchNames(net: Net, portables: readonly Portable[], names: readonly string[]): Matched {
  const numbered = numberedLayers(net, names);
  const found = new Map<Portable, string>();
  const unexpected: string[] = [];
  for (const name of names) {
    const [layer, role] = named(plain(name), numbered);
    const portable = portables.find((each) => each.layer === layer && each.role === role);
    if (portable && !found.has(portable)) found.set(portable, name);
    else unexpected.push(name);
  }
  return { names: found, unexpected };
}

/** Without what PyTorch's DataParallel puts into names. */
function plain(name: string): string {
  return name.replaceAll(/(^|(?<=\.))module\./g, '');
}

function named(name: string, numbered: ReadonlyMap<string, string>): [layer?: string, role?: Portable['role']] {
  const [, layer, last] = NAMED.exec(name) ?? [];
  if (layer === undefined || last === undefined) return [];
  return [numbered.get(layer) ?? layer, KERNELS.includes(last.toLowerCase()) ? 'kernel' : 'bias'];
}

/** Which layer each numbered module is: they count through the convolutions, and through the dense layers. */
function numberedLayers(net: Net, names: readonly string[]): Map<string, string> {
  const layers = new Map<string, string>();
  for (const [part, kind] of [
    ['features', 'conv'],
    ['classifier', 'dense'],
  ] as const) {
    const matches = names.map((name) => NUMBERED.exec(plain(name))).filter((match) => match?.[1] === part);
    const numbers = [...new Set(matches.map((match) => Number(match![2])))].sort((a, b) => a - b);
    const own = net.layers.flatMap((layer) => (layer.kind === kind ? [layer.name] : []));
    own.slice(0, numbers.length).forEach((layer, i) => {
      layers.set(`${part}.${numbers[i]}`, layer);
    });
  }
  return layers;
}
