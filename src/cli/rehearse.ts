/** `plan --data`: measures this machine with a run's settings and images, and says what the run would be. */
import type { Config } from '../config/config.js';
import type { ConfigLayer } from '../config/layers.js';
import { signalExitCode } from '../end-signals.js';
import { ConfigError } from '../errors.js';
import { usableMemory } from '../limits.js';
import { count, mebibytes, plural } from '../numbers.js';
import { type Outlook, outlookOf, type Rehearsal } from '../plan/outlook.js';
import { shellWord } from '../printable.js';
import { table } from './format.js';
import { resolveHere } from './machine.js';
import type { Services } from './services.js';
import { announce } from './silence.js';
import { exitSoon, stopOnSignal } from './stop.js';

/** A step by the plan of its layers. */
export interface PredictedStep {
  stepMs: number;
  /** Of all replicas. */
  images: number;
  /** What takes most of it. */
  part: string;
  /** Of one replica. */
  devices: readonly string[];
}

export interface Rehearsed {
  config: Config;
  found: Rehearsal;
  outlook: Outlook;
}

/**
 * Measures for about so many seconds.
 * @param predict gives the step if it is not to be measured.
 * @returns what was found, or a signal's exit code.
 * @throws ConfigError for settings or devices that cannot be used; DataError for the images; what the towers throw.
 */
export async function rehearseRun(
  layers: readonly ConfigLayer[],
  seconds: number,
  services: Services,
  predict?: () => Promise<PredictedStep>,
): Promise<Rehearsed | number> {
  const resolved = await resolveHere(services, layers);
  services.stderr.print(...resolved.notes);
  const predicted = await predict?.();
  const config = predicted ? { ...resolved.config, devices: predicted.devices } : resolved.config;
  const { rehearse } = await services.loadPlan();
  const stop = stopOnSignal(() => exitSoon(signalExitCode(stop.signal.reason)));
  try {
    const note = (text: string) => announce(services, text);
    const isTraining = predicted === undefined;
    const found = await rehearse(config, { seconds, isTraining, note, signal: stop.signal });
    return { config, found, outlook: outlookOf(quoted(config), found, predicted) };
  } catch (error) {
    if (stop.signal.aborted) return signalExitCode(stop.signal.reason);
    throw error;
  } finally {
    stop.dispose();
  }
}

/** The settings with a source that a command line can have. */
function quoted(config: Config): Config {
  return { ...config, data: { ...config.data, source: shellWord(config.data.source) } };
}

/** @throws ConfigError if a flag is typed that only means something with `--data`. */
export function refuseWithoutData({ data, ...values }: Record<string, unknown>, isTimed: boolean): void {
  const { source, ...others } = (data ?? {}) as Record<string, unknown>;
  if (source !== undefined) return;
  const names: Record<string, string> = {
    ...{
      workers: '--workers',
      limit: '--limit',
      valShare: '--val-share',
      resize: '--resize',
      onBadImage: '--on-bad-image',
    },
    ...{ steps: '--steps', epochs: '--epochs', evalEvery: '--eval-every', keep: '--keep', out: '--out' },
  };
  const typed = [...Object.keys(others), ...Object.keys(values)].find((key) => key in names);
  if (typed === undefined && !isTimed) return;
  throw new ConfigError(
    `Cannot use ${typed === undefined ? '--seconds' : names[typed]} for a plan without images, expected --data with it: it says how this machine is measured with a run's images; add --data FOLDER`,
  );
}

const rate = (value: number) => `${count(Math.round(value))} images/s`;

function duration(hours: number): string {
  if (hours >= 48) return `${(hours / 24).toFixed(1)} days`;
  return hours >= 2 ? `${hours.toFixed(1)} hours` : `${(60 * hours).toFixed(hours * 60 < 10 ? 1 : 0)} minutes`;
}

/** What was measured and what follows from it, as text. */
export function rehearsalLines({ config, found, outlook }: Rehearsed): string[] {
  const { read, decode, prepare, upload, step, together, evaluate, dataWorkers } = found;
  const { workers, decoders } = dataWorkers;
  const percent = (share: number) => `${Math.round(100 * share)} %`;
  const rows = [
    read !== undefined && ['reading', rate(read), decode ? `${megabytes(read * decode.meanBytes)}/s` : ''],
    decode && [
      ...['decoding', rate(decode.imagesPerS)],
      `${count(decoders ?? 1)} at the same time; ${Math.round(decode.meanBytes / 1000)} kB each, ${decode.shorterSide} pixels high or wide`,
    ],
    [
      'batches',
      rate(prepare),
      `reading, decoding, cropping; ${plural(workers, 'data worker')} (${dataWorkers.reason})`,
    ],
    upload && [
      'copying',
      rate(((step?.images ?? 1) * 1000) / upload.ms),
      `${mebibytes(upload.bytes)} a step to a device`,
    ],
    step && ['steps', rate((1000 * step.images) / step.ms), `${step.ms.toFixed(1)} ms, with the same images`],
    together && [
      ...['together', rate((1000 * together.images) / together.ms)],
      `${together.ms.toFixed(1)} ms, of which ${percent(together.dataShare)} waiting for images`,
    ],
    evaluate !== undefined && ['evaluation', rate(evaluate), ''],
  ].filter((row): row is string[] => Array.isArray(row));
  const { hours, trainHours, evaluateHours, meanHours, diskBytes, deviceBytes } = outlook;
  const parts = [
    `${duration(trainHours)} of training`,
    ...(evaluateHours > 0 ? [`${duration(evaluateHours)} of evaluation`] : []),
    ...(meanHours > 0 ? [`${duration(meanHours)} before the first step for the mean image, unless it is known`] : []),
  ];
  return [
    ...table(['alone', 'rate', ''], rows),
    '',
    `${rate(outlook.imagesPerS)}: ${count(outlook.steps)} steps of ${outlook.stepMs.toFixed(1)} ms take ${duration(hours)} (${parts.join(', ')})`,
    ...diskLines(found, diskBytes, config),
    ...memoryLines(found, deviceBytes),
    '',
    outlook.why,
    `First to change: ${outlook.advice}`,
  ];
}

function diskLines({ space }: Rehearsal, diskBytes: number | undefined, { out }: Config): string[] {
  if (!space || diskBytes === undefined) return [];
  const free = space.free === undefined ? '' : `, of ${megabytes(space.free)} that are free in ${out}`;
  const isFull = space.free !== undefined && space.free < diskBytes ? ': NOT ENOUGH' : '';
  return [`disk: ${megabytes(diskBytes)} for ${count(space.atOnce)} checkpoints and the log${free}${isFull}`];
}

function memoryLines({ hostBytes }: Rehearsal, deviceBytes: readonly number[]): string[] {
  const { total } = usableMemory();
  const devices = deviceBytes.map((bytes, tower) => `tower ${tower} about ${megabytes(bytes)}`);
  return [
    `memory: ${megabytes(hostBytes)} of ${megabytes(total)}${devices.length > 0 ? `; on the GPUs ${devices.join(', ')}` : ''}`,
  ];
}

function megabytes(bytes: number): string {
  return bytes >= 1e9 ? `${(bytes / 1e9).toFixed(1)} GB` : `${(bytes / 1e6).toFixed(bytes < 1e7 ? 1 : 0)} MB`;
}
