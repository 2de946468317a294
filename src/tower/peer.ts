/** A tower's connection to the other one. */
import {
  type Dtype,
  Mailbox,
  msgpackTransport,
  noteCancellation,
  noteExecutor,
  type Transport,
  withdrawCancellation,
} from '../exchange/index.js';
import { currentBinding } from '../native/binding/backend.js';
import { findDevice, openContext } from '../native/c/context.js';
import { newCancellation, type RunsWhile } from '../native/graph/run-while.js';
import { DeviceExchange } from './exchangers.js';
import type { TowerSetup } from './protocol.js';

export interface Peer {
  transport: Transport;
  /** The type of values in messages. */
  dtype: Dtype;
  /** Where tensors go from device to device. */
  device?: DeviceExchange | undefined;
  /** How functions run beside this thread: other threads know their executor and can cancel them. */
  runsWhile: RunsWhile;
  /** Keeps other threads from cancelling a function. @returns false if one may still do it. */
  withdrawCancellation(): boolean;
}

/** Opens the connection by the settings; undefined for the whole net. */
export function openPeer({ part, peer, exchange, exchangeTimeoutMs }: TowerSetup): Peer | undefined {
  if (part === 'whole' || !peer) return undefined;
  const { mailboxes, device, name } = peer;
  const devices = { own: currentBinding().device, peer: findDevice(openContext(), device).fullName };
  const cancellation = newCancellation();
  noteCancellation(mailboxes, part, cancellation);
  return {
    transport: msgpackTransport(new Mailbox(mailboxes, part, exchangeTimeoutMs), part),
    dtype: exchange.dtype,
    device: exchange.transport === 'device' ? new DeviceExchange({ ...devices, name, part }) : undefined,
    runsWhile: {
      cancellation,
      noteExecutor: (address) => noteExecutor(mailboxes, part, address),
      noteCancellation: (address) => noteCancellation(mailboxes, part, address),
    },
    withdrawCancellation: () => withdrawCancellation(mailboxes, part),
  };
}
