/** What the coordinator and a tower say to each other. */
import type { Dtype } from '../exchange/codec.js';
import type { Mailboxes } from '../exchange/mailbox.js';
import type { NetOptions } from '../model/net.js';
import type { ContextOptions } from '../native/c/context.js';
import type { OptimizerOptions } from '../optim/schedule.js';
import type { LayerActivations } from './layer-statistics.js';

/** Which part of the net a tower has: one of two halves, or all of it. */
export type Part = 0 | 1 | 'whole';

/** What a tower is made with. It crosses to the tower's thread as it is, shared memory and all. */
export interface TowerSetup {
  part: Part;
  device: string;
  context: ContextOptions;
  net: NetOptions;
  optimizer: OptimizerOptions;
  /** `native`: TensorFlow's own ops; `tfjs`: tfjs's kernels, for a second opinion. */
  ops: 'native' | 'tfjs';
  /** How passes are run: `off` op by op, `on` as one TensorFlow function, `xla` as one of XLA's, for the whole net alone. */
  compile: 'off' | 'on' | 'xla';
  /** `auto`: large convolutions by Winograd's algorithm, where that is faster; `direct`: none. */
  convolutions: 'auto' | 'direct';
  seed: number;
  /** Most images of a batch. */
  batchSize: number;
  /** Batch slots: images float32 [batchSize, S, S, C] and labels int32 [batchSize]; see `slotViews`. */
  slots: readonly SharedArrayBuffer[];
  /** The other half; absent for the whole net. */
  peer?: PeerSetup;
  exchangeTimeoutMs: number;
  exchange: ExchangeOptions;
}

/** How a tower reaches the other one. */
export interface PeerSetup {
  mailboxes: Mailboxes;
  /** The other tower's. */
  device: string;
  /** Of the two towers alone, in the whole process: their queues' names begin with it. */
  name: string;
}

/** `msgpack`: values through shared memory; `device`: from device to device, within TensorFlow. */
export interface ExchangeOptions {
  readonly transport: 'msgpack' | 'device';
  /** How `msgpack` writes values. */
  readonly dtype: Dtype;
  /** Whether every message has a checksum. */
  readonly checksum?: boolean;
}

/** A step, with or without the update, and with what a comparison needs kept. */
export interface StepCommand {
  kind: 'step';
  slot: number;
  count: number;
  step: number;
  /** The kernels', by the schedule. */
  learningRate: number;
  /** From 1; decides which parameters have a rate of their own. */
  epoch: number;
  update: boolean;
  keep: boolean;
  /** Goes on where the loss is not finite, to see where that began. */
  tolerant?: boolean;
  /** Messages of this step have a checksum, whatever the settings say. */
  checksum?: boolean;
}

/** A pass without dropout: over which batch, and the step that the exchange's messages name. */
export interface BatchCommand {
  slot: number;
  count: number;
  step: number;
}

/** What a tower is asked to do. Steps count from 1. */
export type Command =
  | { kind: 'open' }
  /** Both towers at once: see `self-test.ts`. */
  | { kind: 'selfTest' }
  | StepCommand
  /** The tower with the last layer copies the logits, float32 [count, K], into the memory that comes with it, if any. */
  | ({ kind: 'evaluate' } & BatchCommand)
  /** What each layer makes of a batch, without dropout; see `layer-statistics.ts`. */
  | ({ kind: 'measure' } & BatchCommand)
  /** Names of what the last step with `keep` left. */
  | { kind: 'list' }
  /** Copies a tensor into the memory that comes with the command. */
  | { kind: 'fetch'; what: TensorKind; name: string }
  /** Replaces a parameter by what is in the memory that comes with the command; clears its velocity. */
  | { kind: 'put'; name: string }
  /** Writes the weights into a file that says of which step they are. */
  | { kind: 'save'; file: string; step: number }
  | { kind: 'load'; files: readonly string[] }
  /** Copies values and velocities into the memory that comes with the command; see `snapshot.ts`. */
  | { kind: 'snapshot' }
  /** Takes values and velocities from a checkpoint's files. */
  | { kind: 'restore'; files: readonly string[] }
  /** Frees all that the tower has on its device; the last command. */
  | { kind: 'close' };

/** `input` and `activation`: of the last step; `gradient`: of the last step, without weight decay. */
export type TensorKind = 'input' | 'activation' | 'gradient' | 'parameter';

/** A tensor that a tower can be asked for. */
export interface TensorInfo {
  name: string;
  layer: string;
  kind: TensorKind;
  shape: readonly number[];
}

export interface OpenReply {
  /** Versions of TensorFlow and of tfjs. */
  tensorflow: string;
  tfjs: string;
  /** Where TensorFlow says that the tower's parameters and their sums are. */
  backingDevice: string;
  parameters: number;
}

/** Where what came was not what was sent, if anywhere; and how long a step's tensors took to cross. */
export interface SelfTestReply {
  wrong?: string;
  /** By each transport that there is, one tensor after another, without the computing between. */
  crossingMs: { msgpack: number; device?: number };
}

export interface StepReply {
  /** Mean cross-entropy and number of right answers; the tower without the last layer has none. */
  loss?: number;
  top1?: number;
  stepMs: number;
  computeMs: number;
  exchangeMs: number;
  waitMs: number;
  /** Bytes sent. */
  exchangeBytes: number;
}

/** Sums over the batch; the tower without the last layer has none. */
export interface EvaluateReply {
  loss?: number;
  top1?: number;
  top5?: number;
}

/** The reply to each command. */
export interface Replies {
  open: OpenReply;
  selfTest: SelfTestReply;
  step: StepReply;
  evaluate: EvaluateReply;
  measure: readonly LayerActivations[];
  list: readonly TensorInfo[];
  fetch: null;
  put: null;
  save: null;
  load: null;
  snapshot: null;
  restore: null;
  close: null;
}

/** A command on its way to the tower's thread. */
export interface Task {
  command: Command;
  memory?: SharedArrayBuffer | undefined;
}

/** A reply on its way: what was asked for, or the error. */
export type Envelope =
  | { ok: true; reply: unknown }
  | { ok: false; error: { name: string; message: string; stack?: string; fields: Record<string, unknown> } };
