/** A tower's way to the other one. */
import { Mailbox, msgpackTransport, noteCancellation, noteExecutor, withdrawCancellation } from '../exchange/index.js';
import { currentBinding } from '../native/binding/backend.js';
import { findDevice, openContext } from '../native/c/context.js';
import { DeviceExchange } from './exchangers.js';
import type { TowerSetup } from './protocol.js';
import type { Peer } from './tower-function.js';

/** As the settings say; none for the whole net. */
export function peerOf({ part, peer, exchange, exchangeTimeoutMs }: TowerSetup): Peer | undefined {
  if (part === 'whole' || !peer) return undefined;
  const { mailboxes, device, name } = peer;
  const devices = { own: currentBinding().device, peer: findDevice(openContext(), device).fullName };
  return {
    transport: msgpackTransport(new Mailbox(mailboxes, part, exchangeTimeoutMs), part),
    dtype: exchange.dtype,
    device: exchange.transport === 'device' ? new DeviceExchange({ ...devices, name, part }) : undefined,
    noteExecutor: (address) => noteExecutor(mailboxes, part, address),
    noteCancellation: (address) => noteCancellation(mailboxes, part, address),
    withdrawCancellation: () => withdrawCancellation(mailboxes, part),
  };
}
