/**
 * Recognizes files that are not what was expected: files of other programs, and placeholders. Each function returns a
 * clause that says what the file is and how to get the expected one.
 */
import { closeSync, constants, lstatSync, openSync, readlinkSync, readSync } from 'node:fs';
import { basename } from 'node:path';
import { shellWord } from './printable.js';

/** How many bytes tell the kind of a file. */
const START_BYTES = 512;

/** Describes a placeholder; returns undefined for any other file. @param start the first bytes. */
export function describePlaceholder(start: Uint8Array | string, file = 'FILE'): string | undefined {
  const text = typeof start === 'string' ? start.slice(0, START_BYTES) : latin1(start);
  if (/^version https:\/\/(git-lfs|hawser)\.github\.com\/spec\/v1/.test(text)) {
    return `it is a Git LFS pointer, a small text file instead of the file itself: \`git lfs pull\` in its folder brings the file`;
  }
  if (/^(\.\.\/|\.git|\/annex)\S*annex\/objects\/|^\/annex\/objects\//.test(text)) {
    return `it is a pointer of git-annex instead of the file: \`git annex get ${argument(basename(file))}\` in its folder brings the file`;
  }
  if (/^\s*(<!doctype html|<html)/i.test(text)) {
    return 'it is an HTML page instead of the file, as of a login or an error: fetch the file itself again';
  }
  return undefined;
}

/**
 * Programs for `python3 -c FILE NEW_FILE`. A PyTorch checkpoint may have the net's tensors in a dict of any name, beside the
 * optimizer's state and a few scalar tensors: the dict with the most tensors is the net's.
 */
export const CONVERSIONS = {
  PyTorch:
    "import sys, torch; from safetensors.torch import save_file; d = torch.load(sys.argv[1], map_location='cpu', weights_only=True); d = max([d, *(v for v in d.values() if isinstance(v, dict))], key=lambda v: sum(torch.is_tensor(t) for t in v.values())); save_file({k: v.clone().contiguous() for k, v in d.items() if torch.is_tensor(v)}, sys.argv[2])",
  NumPy:
    'import sys, numpy; from safetensors.numpy import save_file; save_file({k: v.copy() for k, v in numpy.load(sys.argv[1]).items()}, sys.argv[2])',
  ONNX: 'import sys, onnx; from onnx import numpy_helper; from safetensors.numpy import save_file; save_file({t.name: numpy_helper.to_array(t).copy() for t in onnx.load(sys.argv[1]).graph.initializer}, sys.argv[2])',
} as const;

/** Describes a placeholder, or weights in another format; returns undefined for anything else. */
export function describeWeightsFile(start: Uint8Array, file: string): string | undefined {
  const text = latin1(start);
  const starts = (magic: string) => text.startsWith(magic);
  const converted = (what: keyof typeof CONVERSIONS) =>
    `it is a file of ${what}: \`python3 -c "${CONVERSIONS[what]}" ${argument(file)} net.safetensors\` makes a safetensors file of it`;
  const held = describePlaceholder(start, file);
  if (held !== undefined) return held;
  if (starts('PK\u0003\u0004')) {
    // In a zip file the name of the first entry begins at byte 30.
    if (/\.npy/.test(text.slice(30, 286))) return converted('NumPy');
    return /\/(data\.pkl|\.format_version|\.storage_alignment|byteorder|version)/.test(text.slice(30, 286))
      ? converted('PyTorch')
      : 'it is a zip archive: unpack it first';
  }
  // A pickle of protocol 2 to 5, which PyTorch wrote before version 1.6.
  if (start[0] === 0x80 && start[1]! >= 2 && start[1]! <= 5) return converted('PyTorch');
  if (starts('\x89HDF\r\n\x1a\n')) {
    return "it is an HDF5 file, as Keras writes: its kernels are [height, width, in, out]; write them in PyTorch's layouts with safetensors.numpy.save_file (docs/weights.md)";
  }
  if (starts('\x93NUMPY')) return 'it is one array of NumPy: a net has several, by name (docs/weights.md)';
  if (starts('\x1f\x8b')) return `it is compressed: \`gunzip ${argument(file)}\` unpacks it`;
  if (starts('GGUF')) return 'it is a GGUF file, which has no net of this kind';
  if (/\.onnx$/i.test(file)) return converted('ONNX');
  if (/\.(caffemodel|pb|ckpt|h5|keras|npy)$/i.test(file) || starts('{')) {
    return 'it is not a safetensors file: docs/weights.md tells how to make one';
  }
  return undefined;
}

/** Returns the first bytes of a file, or none if it cannot be read. */
export function readFileStart(file: string): Uint8Array {
  const start = new Uint8Array(START_BYTES);
  try {
    const descriptor = openSync(file, constants.O_RDONLY | constants.O_NONBLOCK);
    try {
      return start.subarray(0, readSync(descriptor, start, 0, START_BYTES, 0));
    } finally {
      closeSync(descriptor);
    }
  } catch {
    return start.subarray(0, 0);
  }
}

/** Says of a missing file that it is missing, or that it is a broken link. */
export function describeMissing(file: string): string {
  try {
    if (!lstatSync(file).isSymbolicLink()) return 'it is not there';
    const target = readlinkSync(file);
    return describePlaceholder(target, file) ?? `it is a link to ${target}, which is not there`;
  } catch {
    return 'it is not there';
  }
}

/** Quotes a file name for a command line, so that it is neither a command nor an option. */
function argument(file: string): string {
  return shellWord(/^[-~]/.test(file) ? `./${file}` : file);
}

function latin1(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, Math.min(bytes.length, START_BYTES)).toString('latin1');
}
