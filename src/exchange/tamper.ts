/** A mailbox that does to one of its messages what must not happen, for tests. */
import { decode, encode } from './codec.js';
import { Mailbox, type Mailboxes, type Place } from './mailbox.js';
import { stall } from './stall.js';

/**
 * `late`: after the peer's deadline; `lost`: never; `repeated`: the message before it in its place; `reordered`: the
 * number of the next one; `reshaped`: its sizes in another order; `flipped`: one bit of its values.
 */
export const TAMPER_KINDS = ['late', 'lost', 'repeated', 'reordered', 'reshaped', 'flipped'] as const;

export interface Tampering {
  kind: (typeof TAMPER_KINDS)[number];
  site: string;
  step: number;
}

/** Leaves all but the one message alone: the first one at that site and step. */
export class TamperedMailbox extends Mailbox {
  readonly #tampering: Tampering;
  readonly #lateMs: number;
  #before = new Uint8Array(0);
  #done = false;

  constructor(mailboxes: Mailboxes, tower: 0 | 1, timeoutMs: number, tampering: Tampering) {
    super(mailboxes, tower, timeoutMs);
    this.#tampering = tampering;
    this.#lateMs = 2 * timeoutMs;
  }

  override send(place: Place, write: (slot: Uint8Array) => number): void {
    const { kind, site, step } = this.#tampering;
    const isIt = !this.#done && place.site === site && place.step === step;
    if (isIt) this.#done = true;
    if (isIt && kind === 'lost') return;
    if (isIt && kind === 'late') stall(this.#lateMs);
    super.send(place, (slot) => {
      const length = write(slot);
      const own = slot.slice(0, length);
      const sent = isIt ? this.#changed(slot, own) : length;
      this.#before = own;
      return sent;
    });
  }

  /** Writes what is sent instead. @returns its length. */
  #changed(slot: Uint8Array, message: Uint8Array): number {
    const { kind } = this.#tampering;
    if (kind === 'repeated') {
      slot.set(this.#before);
      return this.#before.length;
    }
    if (kind === 'flipped') {
      slot[message.length - 1]! ^= 1 << 3;
      return message.length;
    }
    if (kind === 'late') return message.length;
    const { header, payload } = decode(message);
    const changed =
      kind === 'reordered' ? { ...header, seq: header.seq + 1 } : { ...header, shape: [...header.shape].reverse() };
    const start = encode(changed, slot);
    slot.set(payload, start);
    return start + payload.length;
  }
}
