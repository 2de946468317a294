/** What a tower's thread did when in a traced step. */
import type { ExchangeSpan, Transport } from '../exchange/transport.js';
import { watchScopes } from '../native/graph/scope.js';
import { clockOffset } from './clock.js';
import type { ThreadSpan } from './protocol.js';
import { scopeIn } from './scopes.js';

/** The place at which the towers exchange the norms of their gradients: `exchangeNorms`. */
const NORMS = 'gradients';

/** Collects the spans of one step. */
export class StepNotes {
  readonly #spans: ThreadSpan[] = [];
  readonly #exchanged: ExchangeSpan[] = [];
  /** From `performance.now()`, which counts from the start of this thread. */
  readonly #offset = clockOffset(() => performance.now());
  readonly #transport: Transport | undefined;
  readonly #part: 0 | 1;
  readonly #replica: number;

  /** Starts to watch the exchange. */
  constructor(part: 0 | 1, replica: number, transport: Transport | undefined) {
    this.#part = part;
    this.#replica = replica;
    this.#transport = transport;
    // Only noted, because what this takes would count as exchange.
    if (transport) transport.watch = (span) => void this.#exchanged.push(span);
  }

  /** Notes `action` as one span. @param byLayer if its ops run in this thread, their layers are spans in its place. */
  during<T>(name: string, part: ThreadSpan['part'], byLayer: boolean, action: () => T): T {
    if (byLayer) return watchScopes((scope, start, end) => this.#ran(scope, start, end), action);
    const start = performance.now();
    try {
      return action();
    } finally {
      this.#add({ name, part, start, end: performance.now() });
    }
  }

  /** Ends the watch. */
  end(): ThreadSpan[] {
    if (this.#transport) this.#transport.watch = undefined;
    for (const span of this.#exchanged) this.#addExchange(span);
    return this.#spans;
  }

  #ran(scope: string, start: number, end: number): void {
    const found = scopeIn(scope);
    if (!found || found.phase === 'exchange') return; // the transport tells more
    this.#add({ name: found.layer, part: found.phase, layer: found.layer, start, end });
  }

  #addExchange({ part, action, place: { site, direction }, start, end, bytes }: ExchangeSpan): void {
    const sender = action === 'send' ? this.#part : 1 - this.#part;
    const message = { id: `${site} ${direction} ${2 * this.#replica + sender}`, action, bytes };
    const what = site === NORMS ? 'norm of the gradients' : direction === 'forward' ? site : `gradient of ${site}`;
    const name = `${part === 'wait' ? `wait to ${action}` : action} ${what}`;
    this.#add({ name, part, layer: site, start, end, ...(part === 'exchange' && { message }) });
  }

  #add(span: ThreadSpan): void {
    this.#spans.push({ ...span, start: span.start + this.#offset, end: span.end + this.#offset });
  }
}
