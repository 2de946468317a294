/** The coordinator's towers, which do each step together. */
import { randomUUID } from 'node:crypto';
import type { Config } from '../config/config.js';
import { tensorflowName } from '../config/devices.js';
import { ExchangeError, NativeError } from '../errors.js';
import { createMailboxes, slotBytesFor } from '../exchange/index.js';
import { buildNet, sitesOf, volume } from '../model/net.js';
import { bytesToAlignment } from '../native/c/copy.js';
import { runningSleep } from '../running-time.js';
import { abortTowers } from '../tower/abort.js';
import { startTower, type TowerClient } from '../tower/client.js';
import type { Command, OpenReply, Part, Replies, TowerSetup } from '../tower/protocol.js';
import { contextOptions } from './context-options.js';
import { answered } from './deadline.js';
import { saidWhileOpening } from './first-use.js';
import { loadStartingWeights } from './starting-weights.js';

/** Both towers, or the one that has the whole net. */
export interface Team {
  readonly towers: readonly TowerClient[];
  /** What each said when it was opened. */
  readonly opened: readonly OpenReply[];
  /** What a user should hear of: a transport that did not pass its test. */
  readonly warnings: readonly string[];
  /**
   * Has every tower do the same.
   * @param memory goes with the command to each of them, shared.
   * @returns their replies, tower 0's first.
   * @throws the error that came first and is not another's echo.
   */
  ask<Kind extends Command['kind']>(
    command: Extract<Command, { kind: Kind }>,
    memory?: SharedArrayBuffer,
  ): Promise<Replies[Kind][]>;
  /** Ends the towers' threads. */
  close(): Promise<void>;
}

/** What a team is made of. */
export type TeamConfig = Pick<
  Config,
  | 'placement'
  | 'devices'
  | 'compile'
  | 'convolutions'
  | 'exchange'
  | 'net'
  | 'optimizer'
  | 'seed'
  | 'batchSize'
  | 'exchangeTimeoutMs'
> &
  Partial<Pick<TowerSetup, 'ops'> & Pick<Config, 'weights' | 'out'>>;

const FLOAT_BYTES = 4;
/** How long the other tower has for its own error. */
const ECHO_MS = 3_000;

/**
 * Starts the towers and has them make their parameters, or gives them those that the settings name.
 * @param slots batch slots, of the feeder.
 * @param note takes a sentence where a GPU takes long to open, and where device to device is faster than msgpack.
 * @throws NativeError for a device that is not there; CheckpointError for weights that do not fit; ConfigError for
 * a net that cannot be built.
 */
export async function openTeam(
  config: TeamConfig,
  slots: readonly SharedArrayBuffer[],
  note?: (text: string) => void,
): Promise<Team> {
  const isSplit = config.placement === 'split';
  const parts: Part[] = isSplit ? [0, 1] : ['whole'];
  const mailboxes = isSplit ? createMailboxes(largestMessage(config), bytesToAlignment) : undefined;
  const name = `alexnet_split_towers_${randomUUID()}`;
  const {
    net,
    optimizer,
    seed,
    batchSize,
    exchange,
    exchangeTimeoutMs,
    devices,
    ops = 'native',
    compile,
    convolutions,
  } = config;
  const towers = parts.map((part, i) => {
    const setup: TowerSetup = {
      ...{ part, net, optimizer, seed, batchSize, slots, exchangeTimeoutMs, ops, compile },
      ...{ convolutions, context: contextOptions(config.net.table, devices) },
      exchange,
      device: tensorflowName(devices[i] ?? devices[0]!),
      ...(mailboxes && { peer: { mailboxes, name, device: tensorflowName(devices[1 - i] ?? devices[0]!) } }),
    };
    return startTower(setup);
  });

  async function ask<Kind extends Command['kind']>(
    command: Extract<Command, { kind: Kind }>,
    memory?: SharedArrayBuffer,
  ): Promise<Replies[Kind][]> {
    const failures: unknown[] = [];
    let failed = () => {};
    const failure = new Promise<void>((resolve) => {
      failed = resolve;
    });
    const asked = towers.map((tower, i) =>
      answered(tower, i, command, memory, exchangeTimeoutMs).catch((error: unknown) => {
        failures.push(error);
        if (mailboxes) abortTowers(mailboxes); // the peer may be waiting for it
        failed();
      }),
    );
    // A tower that hangs is not waited for once the other has failed.
    const replies = await Promise.race([
      Promise.all(asked),
      failure.then(() => Promise.race([Promise.all(asked), runningSleep(ECHO_MS)])),
    ]);
    if (failures.length > 0) throw worst(failures);
    return replies as Replies[Kind][];
  }

  const close = async () => {
    await Promise.all(towers.map((tower) => tower.close()));
  };
  try {
    const opened = await saidWhileOpening(ask({ kind: 'open' }), config.devices, note);
    if (config.weights) await loadStartingWeights(towers, config.weights, config);
    const wrong = isSplit && exchange.transport === 'device' ? await testDevice(ask, note) : undefined;
    if (wrong === undefined) return { towers, opened, warnings: [], ask, close };
    await close();
    const fallback = await openTeam({ ...config, exchange: { ...exchange, transport: 'msgpack' } }, slots, note);
    const warning = `the exchange goes by msgpack: the self-test of device to device failed (${wrong})`;
    return { ...fallback, warnings: [warning, ...fallback.warnings] };
  } catch (error) {
    await close();
    throw error;
  }
}

/** The news among the errors of one command: not that the other tower stopped, and rather why it did than that it was late. */
function worst(failures: readonly unknown[]): unknown {
  const isEcho = (each: unknown) => each instanceof ExchangeError && each.isEcho;
  return (
    failures.find((each) => !(each instanceof ExchangeError)) ?? failures.find((each) => !isEcho(each)) ?? failures[0]
  );
}

/** What is wrong with copies from device to device, if anything is. Says how much faster they are, if they are. */
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

/** Bytes of the largest message that crosses. */
function largestMessage({ net, batchSize }: TeamConfig): number {
  const sizes = sitesOf(buildNet(net)).map(({ shape }) => volume(shape) * batchSize * FLOAT_BYTES);
  return slotBytesFor(Math.max(0, ...sizes));
}
