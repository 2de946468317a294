/** The coordinator's towers, which run every command together. */
import { randomUUID } from 'node:crypto';
import { bytesOf } from '../checkpoint/safetensors.js';
import type { FoundCluster } from '../cluster/cluster.js';
import { type Config, imagesPerStep } from '../config/config.js';
import { tensorflowName } from '../config/devices.js';
import { remoteDevice } from '../config/servers.js';
import { type BatchFeeder, floatLayout } from '../data/index.js';
import { ExchangeError, NativeError, NonFiniteError } from '../errors.js';
import { createMailboxes } from '../exchange/mailbox.js';
import { slotBytesFor } from '../exchange/transport.js';
import { buildNet, sitesOf } from '../model/net.js';
import { bytesToAlignment } from '../native/c/copy.js';
import { runningSleep } from '../running-time.js';
import { abortTowers } from '../tower/abort.js';
import { startTower, type TowerClient } from '../tower/client.js';
import {
  type Command,
  FINITE_LOSS,
  type OpenReply,
  type Part,
  type Replies,
  type TowerConfig,
  type TowerSetup,
} from '../tower/protocol.js';
import { joinedOptions, type Places } from './context-options.js';
import { watchServers } from './server-watch.js';
import { refuseLargeTensors } from './sizes.js';
import { openStaging, type Staging } from './staging.js';
import { loadStartingWeights } from './starting-weights.js';
import { answerOf, explainSlowOpening } from './tower-deadline.js';

/** Two towers, or one that has the whole net; with several replicas, as many for each. */
export interface Team {
  /** Replica by replica, tower 0 of each first. */
  readonly towers: readonly TowerClient[];
  /** The towers of the first replica. All replicas have the same weights, so these save them. */
  readonly first: readonly TowerClient[];
  /** The towers' replies to `open`. */
  readonly opened: readonly OpenReply[];
  /** The servers, if towers are on some. */
  readonly cluster: FoundCluster | undefined;
  /** For the user: a transport that failed its self-test. */
  readonly warnings: readonly string[];
  /**
   * Sends a command to every tower, or to some.
   * @param memory shared memory that goes with the command: one for all towers, or one for each.
   * @returns their replies, in their order.
   * @throws the first error, one without `peerFailed` if there is one.
   */
  ask<Kind extends Command['kind']>(
    command: Extract<Command, { kind: Kind }>,
    memory?: SharedArrayBuffer | readonly SharedArrayBuffer[],
    towers?: readonly TowerClient[],
  ): Promise<Replies[Kind][]>;
  /** See `staging.ts`. */
  stage: Staging['stage'];
  /** Ends the towers' threads. */
  close(): Promise<void>;
}

export type TeamConfig = TowerConfig &
  Pick<Config, 'placement'> &
  Places &
  Partial<Pick<TowerSetup, 'ops'> & Pick<Config, 'replicas' | 'average' | 'weights' | 'newHead' | 'out'>>;

/** Slots, and what is in them. */
export type Batches = Pick<BatchFeeder, 'slots' | 'layout'>;

/** What the towers of a team without batches assume of them, for example to warm up. */
function noBatches({ net, batchSize }: Pick<TeamConfig, 'net' | 'batchSize'>): Batches {
  return { slots: [], layout: floatLayout(batchSize, net.inputSize, net.inputChannels) };
}

/** After one tower failed, the others have this long to report their own errors. */
const PEER_ERROR_MS = 3_000;

/** Teams of this process so far. */
let teams = 0;
const THROUGH_COORDINATOR =
  'what the towers exchange goes through this process; --exchange device sends it from server to server';

/** The settings of the reference: the whole net on one device, with the images of all replicas. */
export function referenceOf(config: Config): Config {
  return { ...config, placement: 'single', replicas: 1, batchSize: imagesPerStep(config) };
}

/**
 * Starts the towers, which make their parameters or load those that the settings name.
 * @param batches the feeder, or slots of another origin; none for a team that gets no batches.
 * @param note receives a sentence if a GPU takes long to open, or if device-to-device transport is faster than msgpack.
 * @throws NativeError for a missing device; CheckpointError for weights that do not fit; ConfigError for a net that
 * cannot be built.
 */
export async function openTeam(
  config: TeamConfig,
  batches: Batches = noBatches(config),
  note?: (text: string) => void,
): Promise<Team> {
  const isSplit = config.placement === 'split';
  const parts: Part[] = isSplit ? [0, 1] : ['whole'];
  const { replicas: count = 1, average = 'copies' } = config;
  const group = 2 * teams++;
  const replicas = Array.from({ length: count }, (_, index) => index);
  // Those of whole nets carry no messages: they end waits.
  const groups = replicas.flatMap(() => {
    if (isSplit) return createMailboxes(largestMessage(config), bytesToAlignment);
    return count > 1 ? createMailboxes(0) : [];
  });
  const name = `alexnet_split_towers_${randomUUID()}`;
  const { net, optimizer, seed, batchSize, exchange, exchangeTimeoutMs, devices, compile, convolutions } = config;
  refuseLargeTensors(config);
  const { options: context, cluster } = await joinedOptions(config); // here, where connecting counts against no tower's deadline
  const settingOf = (replica: number, i: number) => devices[replica * parts.length + i] ?? devices[0]!;
  const deviceOf = (replica: number, i: number) => tensorflowName(settingOf(replica, i));
  const used = replicas.flatMap((index) => parts.map((_, i) => settingOf(index, i)));
  const watch = context.cluster && watchServers(context.cluster, used, exchangeTimeoutMs);
  const towers = replicas.flatMap((index) =>
    parts.map((part, i) => {
      const mailboxes = groups[index];
      const same = { name: `${name}_${i}`, group: group + i, devices: replicas.map((each) => deviceOf(each, i)) };
      const tower = startTower({
        ...{ part, replica: { index, count }, device: deviceOf(index, i), context },
        ...{
          net,
          newHead: config.newHead,
          optimizer,
          seed,
          batchSize,
          exchange,
          exchangeTimeoutMs,
          compile,
          convolutions,
        },
        ...{ slots: batches.slots, layout: batches.layout, ops: config.ops ?? 'native' },
        ...(mailboxes && isSplit && { peer: { mailboxes, name: `${name}_${index}`, device: deviceOf(index, 1 - i) } }),
        ...(mailboxes && count > 1 && { others: { ...same, average, mailboxes } }),
      });
      return watch ? watch.guard(tower, remoteDevice(settingOf(index, i))?.server) : tower;
    }),
  );
  const first = towers.slice(0, parts.length);
  const staging = openStaging(towers.map(({ setup }) => setup));
  const { stage } = staging;

  async function ask<Kind extends Command['kind']>(
    command: Extract<Command, { kind: Kind }>,
    memory?: SharedArrayBuffer | readonly SharedArrayBuffer[],
    some: readonly TowerClient[] = towers,
  ): Promise<Replies[Kind][]> {
    const failures: unknown[] = [];
    if ('staged' in command && command.staged) staging.give(command.staged);
    const asked = some.map((tower, i) => {
      const own = memory instanceof SharedArrayBuffer ? memory : memory?.[i];
      return answerOf(tower, command, own, exchangeTimeoutMs).catch((error: unknown) => {
        failures.push(error);
        throw error;
      });
    });
    try {
      return await Promise.all(asked);
    } catch {
      for (const each of groups) abortTowers(each); // others may be waiting for the one that failed
      await Promise.race([Promise.allSettled(asked), runningSleep(PEER_ERROR_MS)]);
      throw causeOf(failures);
    }
  }

  const close = async () => {
    watch?.expectClosing();
    await Promise.all(towers.map((tower) => tower.close()));
    staging.close();
    watch?.close();
  };
  try {
    const opened = await explainSlowOpening(ask({ kind: 'open' }), config.devices, note);
    if (config.weights) await loadStartingWeights(towers, config.weights, config);
    const wrong = isSplit && exchange.transport === 'device' ? await testDevice(ask, note) : undefined;
    if (isSplit && exchange.transport === 'msgpack' && devices.every(remoteDevice)) note?.(THROUGH_COORDINATOR);
    if (wrong === undefined) return { cluster, towers, first, opened, warnings: [], ask, stage, close };
    await close();
    const fallback = await openTeam({ ...config, exchange: { ...exchange, transport: 'msgpack' } }, batches, note);
    const warning = `the exchange uses msgpack: the self-test of the device transport failed (${wrong})`;
    return { ...fallback, warnings: [warning, ...fallback.warnings] };
  } catch (error) {
    await close();
    throw error;
  }
}

/**
 * The cause among a command's errors. The exchange's mostly follow from another error, those with `peerFailed` always. So do
 * gradients that are not finite where a replica's loss is not.
 */
function causeOf(failures: readonly unknown[]): unknown {
  const isLoss = (each: unknown) => each instanceof NonFiniteError && each.message.includes(FINITE_LOSS);
  const peerFailed = (each: unknown) => each instanceof ExchangeError && each.peerFailed;
  return (
    failures.find(isLoss) ??
    failures.find((each) => !(each instanceof ExchangeError)) ??
    failures.find((each) => !peerFailed(each)) ??
    failures[0]
  );
}

/** Tests device-to-device transport. @returns what is wrong with it, if anything. @param note learns if it is faster. */
async function testDevice(ask: Team['ask'], note?: (text: string) => void): Promise<string | undefined> {
  try {
    const found = await ask({ kind: 'selfTest' });
    const wrong = found.find((each) => each.wrong !== undefined)?.wrong;
    const [device, msgpack] = (['device', 'msgpack'] as const).map((transport) =>
      Math.max(...found.map(({ crossingMs }) => crossingMs[transport] ?? Number.POSITIVE_INFINITY)),
    ) as [number, number];
    if (wrong === undefined && device < msgpack) {
      const times = `${device.toFixed(1)} ms from device to device, ${msgpack.toFixed(1)} by msgpack`;
      note?.(`the tensors of a step cross in ${times}: ${(msgpack / device).toFixed(1)} times as fast`);
    }
    return wrong;
  } catch (error) {
    if (error instanceof NativeError) return error.message;
    throw error;
  }
}

/** Bytes of the exchange's largest message. */
function largestMessage({ net, batchSize }: TeamConfig): number {
  const sizes = sitesOf(buildNet(net)).map(({ shape }) => bytesOf([batchSize, ...shape]));
  return slotBytesFor(Math.max(0, ...sizes));
}
