/** Makes a mailbox damage, delay or lose one of its messages. */
import { decode, encode } from '../../src/exchange/codec.js';
import { Mailbox } from '../../src/exchange/mailbox.js';
import type { Fault, MessageKind } from './fault.js';
import { stall } from './strike.js';

/**
 * Tampers with the first message that this thread sends at that site and step, and with no other.
 * @param lateMs the delay of a `late` message.
 */
export function tamperMailboxes({ kind, site, step }: Extract<Fault, { on: 'message' }>, lateMs: number): void {
  const { send } = Mailbox.prototype;
  let before = new Uint8Array(0);
  let isDone = false;
  Mailbox.prototype.send = function (place, write) {
    const isIt = !isDone && place.site === site && place.step === step;
    if (isIt) isDone = true;
    if (isIt && kind === 'lost') return;
    if (isIt && kind === 'late') stall(lateMs);
    send.call(this, place, (slot) => {
      const own = slot.slice(0, write(slot));
      const length = isIt ? change(slot, own, before, kind) : own.length;
      before = own;
      return length;
    });
  };
}

/** Writes what is sent instead of `message`. @returns its length. */
function change(slot: Uint8Array, message: Uint8Array, before: Uint8Array, kind: MessageKind): number {
  if (kind === 'repeated') {
    slot.set(before);
    return before.length;
  }
  if (kind === 'flipped') slot[message.length - 1]! ^= 1 << 3;
  if (kind !== 'reordered' && kind !== 'reshaped') return message.length;
  const { header, payload } = decode(message);
  const changed =
    kind === 'reordered' ? { ...header, seq: header.seq + 1 } : { ...header, shape: [...header.shape].reverse() };
  const start = encode(changed, slot);
  slot.set(payload, start);
  return start + payload.length;
}
