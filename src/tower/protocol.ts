/** The commands of the coordinator to a tower, and the replies. */
import type { Config } from '../config/config.js';
import type { SlotLayout } from '../data/batches/slots.js';
import type { Mailboxes } from '../exchange/mailbox.js';
import type { SentBytes } from '../exchange/transport.js';
import type { TowerIndex } from '../model/net.js';
import type { ContextOptions } from '../native/c/context.js';
import type { Pointer } from '../native/c/signatures.js';
import type { Part, Replica } from './replica.js';

export type { Part } from './replica.js';

export type TowerConfig = Pick<
  Config,
  'net' | 'optimizer' | 'seed' | 'batchSize' | 'exchange' | 'exchangeTimeoutMs' | 'compile' | 'convolutions'
>;

/** What a tower is made of. It crosses to the tower's thread as it is, with its shared memory. */
export interface TowerSetup extends TowerConfig {
  part: Part;
  /** Which replica of the net it belongs to. */
  replica: Replica;
  /** Whether the last layer replaces that of trained weights. */
  newHead?: boolean | undefined;
  device: string;
  context: ContextOptions;
  /** `native`: TensorFlow's own ops; `tfjs`: tfjs's kernels, as a second opinion. */
  ops: 'native' | 'tfjs';
  /** Batch slots, with the images of all replicas. */
  slots: readonly SharedArrayBuffer[];
  /** What is in the slots: the net's input, or grey levels and what the tower makes of them. */
  layout: SlotLayout;
  /** The other half; undefined for the whole net. */
  peer?: {
    mailboxes: Mailboxes;
    device: string;
    /** Common to the two towers, and unique in the process: the names of their queues begin with it. */
    name: string;
  };
  /** The same part of the net in the other replicas; undefined if there are none. */
  others?: {
    /** Those of `peer`; of the whole net, only for what ends a wait. */
    mailboxes: Mailboxes;
    /** By replica, with this tower's own. */
    devices: readonly string[];
    /** Common to these towers, and unique in the process. */
    name: string;
    group: number;
    average: Config['average'];
  };
}

/** What ends this tower's waits; undefined if it never waits. */
export function mailboxesOf({ peer, others }: TowerSetup): Mailboxes | undefined {
  return peer?.mailboxes ?? others?.mailboxes;
}

/** The tower's place in its mailboxes. */
export function indexOf(part: Part): 0 | 1 {
  return part === 'whole' ? 0 : part;
}

/** A batch in a slot. `step` is the step that messages of the exchange name. */
export interface BatchCommand {
  slot: number;
  count: number;
  step: number;
  /** The images on the towers' GPUs, if they are there already. */
  staged?: Staged | undefined;
}

/** By tower: the TFE_TensorHandle of its images on its GPU, which the tower frees. It is for one command. */
export type Staged = readonly (Pointer | undefined)[];

/** Part of the message about a loss that is not finite. The diagnosis inserts the first such layer before it. */
export const FINITE_LOSS = 'expected a finite number';

/** A training step, with or without the update. */
export interface StepCommand extends BatchCommand {
  kind: 'step';
  /** Of the kernels, by the schedule. */
  learningRate: number;
  /** From 1; some parameters have a rate of their own in some epochs. */
  epoch: number;
  update: boolean;
  /** Whether activations and gradients are kept for a comparison. */
  keep: boolean;
  /** Goes on if the loss is not finite, to find out where that began. */
  tolerant?: boolean;
  /** Adds checksums to the messages of this step, whatever the settings say. */
  checksum?: boolean;
  /** Whether the reply says what was sent at which cross-connection. */
  bySite?: boolean;
  /** Has the reply say what the thread did when. */
  trace?: boolean;
}

/** What a tower is asked to do. Steps count from 1. */
export type Command =
  | { kind: 'open' }
  /** Both towers at once: see `self-test.ts`. */
  | { kind: 'selfTest' }
  | StepCommand
  /** The tower with the last layer copies the logits, float32 [count, K], into the command's memory, if there is some. */
  | ({ kind: 'evaluate' } & BatchCommand)
  /** Measures each layer's activations, without dropout, in the first replica; see `layer-statistics.ts`. */
  | ({ kind: 'measure' } & BatchCommand)
  /** Lists the parameters, and what the last step with `keep` kept. */
  | { kind: 'list' }
  /** Copies a tensor into the command's memory. */
  | { kind: 'fetch'; what: TensorKind; name: string }
  /** Replaces a parameter by the command's memory and clears its velocity. */
  | { kind: 'put'; name: string }
  | { kind: 'save'; file: string; step: number }
  /** Without `withHead` the last layer stays as it is. Default true. */
  | { kind: 'load'; files: readonly string[]; withHead?: boolean }
  /** Copies values and velocities into the command's memory; see `snapshot.ts`. */
  | { kind: 'snapshot' }
  /** Loads values and velocities from the files of a checkpoint. */
  | { kind: 'restore'; files: readonly string[] }
  /** Frees what the tower has on its device; the last command. */
  | { kind: 'close' };

/** Describes what a tower does, for messages. */
export function placeOf(command: Command): string {
  if (command.kind === 'step') return `step ${command.step}`;
  if (command.kind === 'evaluate') return `the evaluation after step ${command.step}`;
  if (command.kind !== 'measure') return `the command ${command.kind}`;
  return `the measurement of the layers ${command.step > 0 ? `after step ${command.step}` : 'before the first step'}`;
}

/** `input` (of a site) and `activation`: of the last step; `gradient`: of the last step, without weight decay. */
export type TensorKind = 'input' | 'activation' | 'gradient' | 'parameter';

export interface TensorInfo {
  name: string;
  layer: string;
  kind: TensorKind;
  shape: readonly number[];
}

export interface OpenReply {
  tensorflow: string;
  tfjs: string;
  /** The device of the tower's tensors, as TensorFlow reports it. */
  backingDevice: string;
  parameters: number;
}

export interface SelfTestReply {
  /** Where a tensor arrived with other values, if anywhere. */
  wrong?: string;
  /** How long the tensors of a step take to cross, one after another, by each transport. */
  crossingMs: { msgpack: number; device?: number };
}

/** A part of a step, as the tower's thread sees it. */
export interface ThreadSpan {
  name: string;
  /** `pass`: forward and backward pass, as a compiled function. */
  part: 'forward' | 'backward' | 'pass' | 'update' | 'exchange' | 'wait';
  /** The layer or the cross-connection. */
  layer?: string;
  /** By `clockMs`. */
  start: number;
  end: number;
  /** For a message that was sent or received: its bytes, and what it is, the same at both ends. */
  message?: { id: string; action: 'send' | 'receive'; bytes: number };
}

export interface StepReply {
  /** Mean cross-entropy and number of right answers of the replica's images; only of the tower with the last layer. */
  loss?: number;
  top1?: number;
  /** Images of the batch that the replica had. */
  images: number;
  stepMs: number;
  computeMs: number;
  exchangeMs: number;
  waitMs: number;
  exchangeBytes: number;
  /** Bytes of images and labels that the tower's device was given. */
  inputBytes: number;
  /** Half of the sum of the squares of the tower's gradients, over all replicas' images and without weight decay. */
  halfSquares: number;
  /** Bytes of gradients and sums that were sent to other replicas. */
  averageBytes: number;
  /** The exchanged bytes by cross-connection, if the command asks for them. */
  sent?: readonly SentBytes[];
  /** Only of a step with `trace`. */
  spans?: readonly ThreadSpan[];
}

/** The statistics of one tower's part of a layer. The log has them too: docs/log-events.md defines them. */
export type LayerActivations = {
  tower: TowerIndex;
  layer: string;
  mean: number;
  sd: number;
  max: number;
  zero: number;
  signal: number;
  units: number;
  dead?: number;
};

export interface MeasureReply {
  layers: readonly LayerActivations[];
  /** Tensors that the tower holds between two commands: parameters, velocities and the like. */
  tensors: number;
  tensorBytes: number;
}

/** Sums over the batch; only of the tower with the last layer. */
export interface EvaluateReply {
  loss?: number;
  top1?: number;
  top5?: number;
}

/** The reply to each command; null to those without one. */
export interface Replies extends Record<'fetch' | 'put' | 'save' | 'load' | 'snapshot' | 'restore' | 'close', null> {
  open: OpenReply;
  selfTest: SelfTestReply;
  step: StepReply;
  evaluate: EvaluateReply;
  measure: MeasureReply;
  list: readonly TensorInfo[];
}

export interface Task {
  command: Command;
  memory?: SharedArrayBuffer | undefined;
}

export type Envelope =
  | { ok: true; reply: unknown }
  | { ok: false; error: { name: string; message: string; stack?: string; fields: Record<string, unknown> } };
