/** Before a run: known patterns through the exchange, at every site's real size, in both directions. */
import type { Transport } from '../exchange/index.js';
import { type Net, sitesOf, type TowerIndex } from '../model/net.js';
import { tensorFrom } from '../native/binding/tensors.js';
import type { SelfTestReply } from './protocol.js';

/** Sends this tower's patterns and compares the peer's with what they have to be, bit for bit. */
export function selfTest(net: Net, tower: TowerIndex, batchSize: number, transport: Transport): SelfTestReply {
  const peer = (1 - tower) as TowerIndex;
  let wrong: string | undefined;
  for (const [i, { name: site, shape }] of sitesOf(net).entries()) {
    const sizes = [batchSize, ...shape];
    for (const direction of ['forward', 'backward'] as const) {
      const place = { site, step: 0, direction };
      const seed = i * 2 + (direction === 'forward' ? 0 : 1);
      const own = tensorFrom(sizes, pattern(sizes, tower, seed));
      transport.send(own, place);
      const received = transport.receive(sizes, place);
      const expected = pattern(sizes, peer, seed);
      const values = received.dataSync() as Float32Array;
      if (!values.every((value, j) => value === expected[j])) wrong ??= `${direction} at ${site}`;
      own.dispose();
      received.dispose();
    }
  }
  return wrong === undefined ? {} : { wrong };
}

/** Whole numbers below 2048, which float16 has too. */
function pattern(sizes: readonly number[], tower: TowerIndex, seed: number): Float32Array {
  const count = sizes.reduce((product, size) => product * size, 1);
  const offset = (seed * 2 + tower + 1) * 0x9e3779b9;
  const values = new Float32Array(count);
  for (let i = 0; i < count; i++) values[i] = (Math.imul(i + offset, 0x85ebca6b) >>> 21) - 1024;
  return values;
}
