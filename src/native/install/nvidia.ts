/** Finds NVIDIA's cards and driver in the machine, by nvidia-smi, `/proc` and the PCI bus. */
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { type Card, querySmi, WSL_FOLDER } from './nvidia-smi.js';

export interface Nvidia {
  cards: Card[];
  /** The driver's version, `570.86.15`. */
  driver?: string;
  /** What nvidia-smi says, in one line, if it fails. */
  complaint?: string;
}

const NVIDIA_VENDOR = '0x10de';
/** Start of the class of VGA and 3D controllers. */
const DISPLAY_CLASS = '0x03';
const DRIVER_LIST = 'proc/driver/nvidia/gpus';

/**
 * Whether the machine has an NVIDIA device with a driver that TensorFlow may use. `CUDA_VISIBLE_DEVICES` can hide devices,
 * as it does from CUDA.
 * @param root where the system's files are, for tests.
 */
export function hasNvidiaDevice(root = '/'): boolean {
  return visibleCards() === 'some' && hasDevice(root);
}

/** Like {@link hasNvidiaDevice}, but ignores `CUDA_VISIBLE_DEVICES`. */
export function hasDevice(root = '/'): boolean {
  return (
    // A container may have any one of the cards.
    namesIn(join(root, 'dev')).some((name) => /^nvidia\d+$/.test(name)) ||
    // Without such a file, a container that sees its host's list may use no card. A driver that was not used yet has no
    // such file either, but then CUDA calls this program, which makes it.
    (namesIn(join(root, DRIVER_LIST)).length > 0 && existsSync(join(root, 'usr/bin/nvidia-modprobe'))) ||
    existsSync(join(root, WSL_FOLDER, 'libcuda.so.1')) // which has no such device files
  );
}

/**
 * Which cards `CUDA_VISIBLE_DEVICES` leaves. CUDA reads numbers and UUIDs up to the first entry that is neither. `none`:
 * it hides all cards on purpose (SLURM sets `NoDevFiles` in a job without GPUs). `mistaken`: it hides them by a wrong
 * spelling, such as `all` or `cuda:0`.
 */
export function visibleCards(): 'some' | 'none' | 'mistaken' {
  const first = process.env.CUDA_VISIBLE_DEVICES?.split(',', 1)[0]?.trim();
  if (first === undefined || /^(\+?\d|GPU-|MIG-)/i.test(first)) return 'some';
  return /^(-.*|no\w*|void|off|false|cpu|null|)$/i.test(first) ? 'none' : 'mistaken';
}

/** Whether there is a card, with or without a driver, that is not hidden on purpose. Runs no program. */
export function hasNvidiaCard(root = '/'): boolean {
  return visibleCards() !== 'none' && (hasDevice(root) || pciCards(root).length > 0);
}

/**
 * Cards and driver. nvidia-smi knows most. If it fails, the driver's files give names and version, and the PCI bus gives
 * cards without a driver.
 */
export function readNvidia(root = '/'): Nvidia {
  const answer = querySmi({ root });
  const listed = 'cards' in answer ? answer.cards : [];
  const driver = listed[0]?.driver || driverIn(join(root, 'proc/driver/nvidia/version'));
  const sources = [() => listed.map(({ index, driver: _, freeMiB, ...card }) => card), procCards, pciCards];
  const cards = sources.reduce<Card[]>((found, read) => (found.length > 0 ? found : read(root)), []);
  return { cards, ...('complaint' in answer && answer), ...(driver !== undefined && { driver }) };
}

function procCards(root: string): Card[] {
  const folder = join(root, DRIVER_LIST);
  return namesIn(folder).map((bus) => {
    const model = /^Model:\s*(.+)$/m.exec(textOf(join(folder, bus, 'information')))?.[1];
    return { name: model?.trim() ?? `NVIDIA device at ${bus}` };
  });
}

function driverIn(file: string): string | undefined {
  return /Kernel Module(?: for \S+)?\s+(\d+(?:\.\d+)+)/.exec(textOf(file))?.[1];
}

function pciCards(root: string): Card[] {
  const folder = join(root, 'sys/bus/pci/devices');
  const read = (bus: string, file: string) => textOf(join(folder, bus, file)).trim();
  return namesIn(folder)
    .filter((bus) => read(bus, 'vendor') === NVIDIA_VENDOR && read(bus, 'class').startsWith(DISPLAY_CLASS))
    .map((bus) => ({ name: `NVIDIA device at ${bus}` }));
}

/** The names in a folder, sorted; none if it does not exist or cannot be read. */
export function namesIn(folder: string): string[] {
  try {
    return readdirSync(folder).sort();
  } catch {
    return [];
  }
}

function textOf(file: string): string {
  try {
    return readFileSync(file, 'utf8');
  } catch {
    return '';
  }
}
