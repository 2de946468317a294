/**
 * A run's events as TensorBoard's event files: records (TFRecord) of `tensorflow.Event` messages
 * (`tensorflow/core/util/event.proto`, `summary.proto`). The numbers beside the fields are theirs.
 */
import crc32c from 'crc-32/crc32c.js';
import protobuf from 'google-protobuf';
import { eventLine } from '../event-lines.js';
import type { EventOf, LogEvent } from '../log.js';
import { meanStep } from '../step-lines.js';

type Writer = protobuf.BinaryWriter;

/** What TensorBoard shows of an event: numbers over the steps, and texts, by tag. The part before the first `/` is a group. */
interface Summaries {
  step: number;
  scalars?: Record<string, number>;
  texts?: Record<string, string>;
  /** For the HParams page: the settings at the start of a run. */
  settings?: Settings;
}

/** By path, with dots between the keys. */
type Settings = Record<string, string | number | boolean>;

/**
 * Encodes a run's events, in their order.
 * @returns a function that gives the bytes to append for an event, written at `time` (ms since 1970). The bytes before the
 * first event begin the file.
 */
export function tensorboardEncoder(): (event: LogEvent, time: number) => Uint8Array {
  let isBegun = false;
  let last = 0;
  return (event, time) => {
    const records: Uint8Array[] = [];
    const add = (step: number, fill: (writer: Writer) => void) => records.push(...eventRecord(step, time, fill));
    if (!isBegun) add(0, (writer) => writer.writeString(3, 'brain.Event:2'));
    isBegun = true;
    // TensorBoard then forgets what an earlier file says about this step and later ones.
    if (isSessionStart(event) && Number.isSafeInteger(event.step + 1))
      add(event.step + 1, (writer) => writer.writeMessage(7, event, writeSessionStart));
    const summaries = summariesOf(event, last);
    // A log from elsewhere may have any number as its step. TensorBoard has whole ones.
    if (summaries && Number.isSafeInteger(summaries.step)) {
      last = summaries.step;
      add(last, (writer) => writer.writeMessage(5, summaries, writeSummary));
    }
    return Buffer.concat(records);
  };
}

/** The name by which TensorBoard finds a file. It reads the files of a folder in the order of their names. */
export function eventFileName(time: number, suffix: string): string {
  return `events.out.tfevents.${String(Math.floor(time / 1000)).padStart(10, '0')}.${suffix}`;
}

/** Whether TensorBoard would take the file for an event file. */
export function isEventFile(name: string): boolean {
  return name.includes('tfevents');
}

/** @param last the step before. */
function summariesOf(event: LogEvent, last: number): Summaries | undefined {
  switch (event.event) {
    case 'run_start':
      return {
        step: 0,
        texts: { 'run/start': eventLine(event), 'run/config': JSON.stringify(event.config, null, 2) },
        settings: settingsIn(event.config),
      };
    case 'train_step':
      return { step: event.step, scalars: stepScalars(event) };
    case 'eval': {
      const { step, loss, top1, top5, eval_ms } = event;
      return { step, scalars: { 'eval/loss': loss, 'eval/top1': top1, 'eval/top5': top5, 'time/eval_ms': eval_ms } };
    }
    case 'activations':
      return { step: event.step, scalars: activationScalars(event) };
    case 'exchange':
      return { step: event.step, scalars: exchangeScalars(event) };
    case 'memory':
      return { step: event.step, scalars: memoryScalars(event) };
    case 'warning':
      return { step: event.step ?? last, texts: { [`warning/${event.kind ?? 'other'}`]: event.message } };
    case 'run_end':
      return { step: event.steps, texts: { 'run/end': eventLine(event) } };
    default:
      return undefined;
  }
}

/** Settings that say nothing about the training. */
const NO_SETTINGS = ['run', 'out', 'logEvery', 'logSteps', 'traceSteps', 'tensorboard', 'metricsPort'];

function settingsIn(value: object, path = ''): Settings {
  const settings: Settings = {};
  for (const [key, each] of Object.entries(value)) {
    if (path === '' && NO_SETTINGS.includes(key)) continue;
    const isSingle = typeof each === 'string' || typeof each === 'number' || typeof each === 'boolean';
    if (isSingle) settings[path + key] = each;
    else if (Array.isArray(each)) settings[path + key] = JSON.stringify(each);
    else if (typeof each === 'object' && each !== null) Object.assign(settings, settingsIn(each, `${path}${key}.`));
  }
  return settings;
}

/** Fields of a step that logs of earlier versions do not have. */
const NEWER_TAGS = {
  gradient_norm: 'train/gradient_norm',
  decode_ms: 'data/decode_ms',
  ready_images: 'data/ready_images',
  read_bytes: 'data/read_bytes',
  device_bytes: 'data/device_bytes',
  resident_bytes: 'memory/resident_bytes',
} as const;

/** The mean of a line of several steps, under the names of a single one, and the worst of them. */
function stepScalars(line: EventOf<'train_step'>): Record<string, number> {
  const event = meanStep(line);
  const { loss, top1, learning_rate, epoch, images_per_s, exchange_bytes, towers, worst = {} } = event;
  const scalars: Record<string, number> = {
    ...{ 'train/loss': loss, 'train/top1': top1, 'train/learning_rate': learning_rate, 'train/epoch': epoch },
    'time/images_per_s': images_per_s,
    'exchange/bytes': exchange_bytes,
  };
  for (const part of ['step_ms', 'data_ms', 'compute_ms', 'exchange_ms', 'wait_ms', 'other_ms'] as const) {
    scalars[`time/${part}`] = event[part];
  }
  for (const [name, tag] of Object.entries(NEWER_TAGS)) {
    const value = event[name as keyof typeof NEWER_TAGS];
    if (value !== undefined) scalars[tag] = value;
  }
  for (const [name, value] of Object.entries<number>(worst)) scalars[`worst/${name}`] = value;
  for (const tower of towers) {
    for (const part of ['step_ms', 'compute_ms', 'exchange_ms', 'wait_ms'] as const) {
      scalars[`time/tower${tower.tower}/${part}`] = tower[part];
    }
  }
  return scalars;
}

function activationScalars({ layers }: EventOf<'activations'>): Record<string, number> {
  const scalars: Record<string, number> = {};
  for (const { layer, tower, units: _, ...values } of layers) {
    for (const [name, value] of Object.entries(values)) {
      if (value !== undefined) scalars[`activations_${name}/${layer}/tower${tower}`] = value;
    }
  }
  return scalars;
}

function exchangeScalars({ sites }: EventOf<'exchange'>): Record<string, number> {
  return Object.fromEntries(
    sites.map(({ site, direction, tower, bytes }) => [`exchange/${site}/${direction}/tower${tower}_bytes`, bytes]),
  );
}

function memoryScalars({ resident_bytes, heap_bytes, towers }: EventOf<'memory'>): Record<string, number> {
  const scalars: Record<string, number> = { 'memory/resident_bytes': resident_bytes, 'memory/heap_bytes': heap_bytes };
  for (const { tower, tensor_bytes } of towers) scalars[`memory/tower${tower}/tensor_bytes`] = tensor_bytes;
  return scalars;
}

/** Also of a run that lost a server and begins again; with a checkpoint, `resume` follows. */
function isSessionStart(event: LogEvent): event is EventOf<'resume'> | EventOf<'servers_back'> {
  return event.event === 'resume' || (event.event === 'servers_back' && event.step === 0);
}

function writeSessionStart(event: EventOf<'resume'> | EventOf<'servers_back'>, writer: Writer): void {
  writer.writeEnum(1, 1); // START
  if (event.event === 'resume') writer.writeString(2, event.checkpoint);
}

function writeSummary({ scalars = {}, texts = {}, settings }: Summaries, writer: Writer): void {
  for (const [tag, value] of Object.entries(scalars)) {
    writer.writeMessage(1, tag, () => {
      writer.writeString(1, tag);
      writer.writeFloat(2, Math.fround(value)); // NaN and infinities too; a number too large for it becomes one
    });
  }
  for (const [tag, text] of Object.entries(texts)) {
    writer.writeMessage(1, tag, () => {
      writer.writeString(1, tag);
      writer.writeMessage(8, verbatim(text), writeTextTensor);
      writer.writeMessage(9, 'text', writePlugin);
    });
  }
  if (settings) {
    writer.writeMessage(1, settings, () => {
      writer.writeString(1, '_hparams_/session_start_info');
      writer.writeMessage(8, '', writeTextTensor); // TensorBoard passes over a value without one
      writer.writeMessage(9, 'hparams', (plugin) => writePlugin(plugin, writer, settingsData(settings)));
    });
  }
}

/** An `HParamsPluginData` (`tensorboard/plugins/hparams/plugin_data.proto`) with a `SessionStartInfo`. */
function settingsData(settings: Settings): Uint8Array {
  const writer = new protobuf.BinaryWriter();
  writer.writeMessage(3, settings, () => {
    for (const [key, value] of Object.entries(settings)) {
      writer.writeMessage(1, key, () => {
        writer.writeString(1, key);
        writer.writeMessage(2, value, writeValue);
      });
    }
  });
  return writer.getResultBuffer();
}

/** A `google.protobuf.Value`. */
function writeValue(value: string | number | boolean, writer: Writer): void {
  if (typeof value === 'number') writer.writeDouble(2, value);
  else if (typeof value === 'string') writer.writeString(3, value);
  else writer.writeBool(4, value);
}

/** TensorBoard shows texts as Markdown. An indented block is shown as it is. */
function verbatim(text: string): string {
  return text.replace(/^/gm, '    ');
}

/** A tensor without dimensions. */
function writeTextTensor(text: string, writer: Writer): void {
  writer.writeEnum(1, 7); // DT_STRING
  writer.writeMessage(2, undefined, () => {});
  writer.writeBytes(8, Buffer.from(text));
}

function writePlugin(name: string, writer: Writer, content?: Uint8Array): void {
  writer.writeMessage(1, name, () => {
    writer.writeString(1, name);
    if (content) writer.writeBytes(2, content);
  });
  writer.writeEnum(4, 2); // DATA_CLASS_TENSOR
}

/** The record of an event: its length and its bytes, each followed by its checksum. All numbers are little-endian. */
function eventRecord(step: number, time: number, fill: (writer: Writer) => void): Uint8Array[] {
  const writer = new protobuf.BinaryWriter();
  writer.writeDouble(1, time / 1000);
  writer.writeInt64(2, step);
  fill(writer);
  const data = writer.getResultBuffer();
  const length = Buffer.alloc(8);
  length.writeBigUInt64LE(BigInt(data.length));
  return [length, maskedChecksum(length), data, maskedChecksum(data)];
}

/** CRC-32C, masked as TFRecord does it, so that a checksum of data with checksums in it is no problem. */
function maskedChecksum(data: Uint8Array): Uint8Array {
  const checksum = crc32c.buf(data);
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32LE((((checksum >>> 15) | (checksum << 17)) + 0xa282ead8) >>> 0);
  return bytes;
}
