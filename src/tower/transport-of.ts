/** A tower's transport to its peer. */
import { deviceTransport, Mailbox, msgpackTransport, TamperedMailbox, type Transport } from '../exchange/index.js';
import type { Fault } from './fault.js';
import { devicePort } from './port.js';
import type { TowerSetup } from './protocol.js';

/** As the settings say, with the fault in it, if it is one of messages; none for the whole net. */
export function transportOf(setup: TowerSetup, fault: Fault): Transport | undefined {
  const { part, link, exchange, exchangeTimeoutMs } = setup;
  if (part === 'whole' || !link) return undefined;
  const { message } = fault;
  const mailbox =
    message && part === 1
      ? new TamperedMailbox(link, part, exchangeTimeoutMs, message)
      : new Mailbox(link, part, exchangeTimeoutMs);
  const port = devicePort(fault);
  return exchange.transport === 'device'
    ? deviceTransport(mailbox, part, port)
    : msgpackTransport(mailbox, part, port, exchange.dtype);
}
