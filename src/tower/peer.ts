/** A tower's connection to the other one. */
import { Mailbox, noteCancellation, noteExecutor, withdrawCancellation } from '../exchange/mailbox.js';
import { msgpackTransport } from '../exchange/transport.js';
import { currentBinding } from '../native/binding/backend.js';
import { findDevice, openContext } from '../native/c/context.js';
import { newCancellation, type RunsWhile } from '../native/graph/run-while.js';
import { DeviceExchange } from './exchangers.js';
import type { TowerSetup } from './protocol.js';

/** A transport of messages, exchanges by device if there are any, and how functions run beside this thread. */
export type Peer = NonNullable<ReturnType<typeof openPeer>>;

/** Opens the connection by the settings; undefined for the whole net. */
export function openPeer({ part, peer, exchange, exchangeTimeoutMs }: TowerSetup) {
  if (part === 'whole' || !peer) return undefined;
  const { mailboxes, device, name } = peer;
  const devices = { own: currentBinding().device, peer: findDevice(openContext(), device).fullName };
  const cancellation = newCancellation();
  noteCancellation(mailboxes, part, cancellation);
  return {
    transport: msgpackTransport(new Mailbox(mailboxes, part, exchangeTimeoutMs), part),
    dtype: exchange.dtype,
    ...(exchange.transport === 'device' && { device: new DeviceExchange({ ...devices, name, part }) }),
    // Other threads know the functions' executor, and can cancel them.
    runsWhile: {
      cancellation,
      noteExecutor: (address) => noteExecutor(mailboxes, part, address),
      noteCancellation: (address) => noteCancellation(mailboxes, part, address),
    } satisfies RunsWhile,
    /** Keeps other threads from cancelling a function. @returns false if one may still do it. */
    withdrawCancellation: () => withdrawCancellation(mailboxes, part),
  };
}
