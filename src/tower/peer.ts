/** What a tower waits for: the other tower of its pair, and the other replicas. */
import { Mailbox, noteCancellation, noteExecutor, withdrawCancellation } from '../exchange/mailbox.js';
import { msgpackTransport } from '../exchange/transport.js';
import type { Parameter } from '../model/net.js';
import { currentBinding } from '../native/binding/backend.js';
import { newCancellation } from '../native/c/cancellation.js';
import { findDevice, openContext } from '../native/c/context.js';
import type { RunsWhile } from '../native/graph/run-while.js';
import { CopiedSum, type GradientSum } from './average.js';
import { CollectiveSum } from './collective.js';
import { DeviceExchange } from './exchangers.js';
import { indexOf, mailboxesOf, type TowerSetup } from './protocol.js';
import { type Part, towerName } from './replica.js';

/** How functions run beside this thread, and end early. */
export type Waits = NonNullable<ReturnType<typeof openWaits>>;

/** Undefined for a tower that waits for nobody. */
export function openWaits(setup: TowerSetup) {
  const mailboxes = mailboxesOf(setup);
  if (!mailboxes) return undefined;
  const index = indexOf(setup.part);
  const cancellation = newCancellation();
  noteCancellation(mailboxes, index, cancellation);
  return {
    // Other threads know the functions' executor, and can cancel them.
    runsWhile: {
      cancellation,
      noteExecutor: (address) => noteExecutor(mailboxes, index, address),
      noteCancellation: (address) => noteCancellation(mailboxes, index, address),
    } satisfies RunsWhile as RunsWhile,
    /** Keeps other threads from cancelling a function. @returns false if one may still do it. */
    withdrawCancellation: () => withdrawCancellation(mailboxes, index),
  };
}

/** A transport of messages, and exchanges by device if there are any. */
export type Peer = NonNullable<ReturnType<typeof openPeer>>;

/** Opens the connection to the other tower by the settings; undefined for the whole net. */
export function openPeer({ part, replica, peer, exchange, exchangeTimeoutMs }: TowerSetup, waits: Waits | undefined) {
  if (part === 'whole' || !peer || !waits) return undefined;
  const { mailboxes, device, name } = peer;
  const devices = { own: currentBinding().device, peer: fullName(device) };
  const nameOf = (each: Part) => towerName({ part: each, replica });
  const mailbox = new Mailbox(mailboxes, part, exchangeTimeoutMs, [nameOf(0), nameOf(1)]);
  return {
    ...waits,
    transport: msgpackTransport(mailbox, part),
    dtype: exchange.dtype,
    ...(exchange.transport === 'device' && { device: new DeviceExchange({ ...devices, name, part }) }),
  };
}

/** Connects a tower to the other replicas; undefined if there are none. @param parameters of its part. */
export function openAverage(
  { replica, others, exchangeTimeoutMs: timeoutMs }: TowerSetup,
  parameters: readonly Pick<Parameter, 'shape'>[],
): GradientSum | undefined {
  if (!others) return undefined;
  const { devices, name, average, group } = others;
  const shapes = parameters.map(({ shape }) => shape);
  if (average === 'collective') return new CollectiveSum({ replicas: replica.count, group, timeoutMs, shapes });
  return new CopiedSum({ replica, shapes, name, devices: devices.map(fullName) });
}

function fullName(device: string): string {
  return findDevice(openContext(), device).fullName;
}
