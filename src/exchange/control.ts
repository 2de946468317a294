/** Control messages between the coordinator and a tower, as MessagePack. */
import { Packr } from 'msgpackr';

const packr = new Packr({ useRecords: false });

/** A message in memory of its own, which may cross threads. NaN and the infinities stay what they are. */
export function packControl(message: unknown): Uint8Array {
  return Uint8Array.from(packr.pack(message)); // msgpackr's small results share one store
}

export function unpackControl<T>(bytes: Uint8Array): T {
  return packr.unpack(bytes) as T;
}
