/** A tower's way to the other one. */
import {
  Mailbox,
  msgpackTransport,
  noteCancellation,
  noteExecutor,
  TamperedMailbox,
  withdrawCancellation,
} from '../exchange/index.js';
import { currentBinding } from '../native/binding/backend.js';
import { findDevice, openContext } from '../native/c/context.js';
import { DeviceExchange } from './exchangers.js';
import type { Fault } from './fault.js';
import type { TowerSetup } from './protocol.js';
import type { Peer } from './tower-function.js';

/** As the settings say, with the fault in it, if it is one of messages; none for the whole net. */
export function peerOf({ part, peer, exchange, exchangeTimeoutMs }: TowerSetup, fault: Fault): Peer | undefined {
  if (part === 'whole' || !peer) return undefined;
  const { mailboxes, device, name } = peer;
  const { message } = fault;
  const mailbox =
    message && part === 1
      ? new TamperedMailbox(mailboxes, part, exchangeTimeoutMs, message)
      : new Mailbox(mailboxes, part, exchangeTimeoutMs);
  const devices = { own: currentBinding().device, peer: findDevice(openContext(), device).fullName };
  return {
    transport: msgpackTransport(mailbox, part),
    dtype: exchange.dtype,
    device:
      exchange.transport === 'device' ? new DeviceExchange({ ...devices, name, part }, fault.wrongBytes) : undefined,
    noteExecutor: (address) => noteExecutor(mailboxes, part, address),
    noteCancellation: (address) => noteCancellation(mailboxes, part, address),
    withdrawCancellation: () => withdrawCancellation(mailboxes, part),
  };
}
