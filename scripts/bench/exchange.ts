/** Bytes per second of the exchange by size and transport, compared with a copy of memory. */
import tf = require('@tensorflow/tfjs');

import type { Exchanger } from '../../src/exchange/all-gather.js';
import type { Dtype } from '../../src/exchange/codec.js';
import { createMailboxes, Mailbox } from '../../src/exchange/mailbox.js';
import { msgpackTransport, slotBytesFor } from '../../src/exchange/transport.js';
import { currentBinding, useDevice } from '../../src/native/binding/backend.js';
import { bytesToAlignment, libc } from '../../src/native/c/copy.js';
import { median } from '../../src/numbers.js';
import { DeviceExchange, messageExchanger } from '../../src/tower/exchangers.js';
import { interleave, printTimings, ratios, save } from './report.js';

const SIZES = [65_536, 1_048_576, 11_075_584];
const PLACE = { site: 'conv3', direction: 'forward' } as const;

/**
 * Prints how long it takes to send and to receive a tensor of each size, in one thread. The tensor is read in place, as a
 * gather does, or copied into a tensor of its own ("kept").
 */
export async function benchExchange(rounds: number, name?: string): Promise<void> {
  useDevice('CPU:0');
  const results = [];
  const nothing = tf.keep(tf.scalar(0));
  for (const bytes of SIZES) {
    const tensor = tf.keep(tf.randomUniform([bytes / 4]).add(1));
    const mailboxes = createMailboxes(slotBytesFor(bytes), bytesToAlignment);
    const transports = ([0, 1] as const).map((tower) => msgpackTransport(new Mailbox(mailboxes, tower, 10_000), tower));
    const source = new Uint8Array(bytes).fill(1);
    // A mailbox has two slots. With two copies as much memory is in the processor's cache.
    const shares = [0, 1].map(() => new Uint8Array(new SharedArrayBuffer(bytes)));
    let turn = 0;
    const cross = (send: Exchanger, receive: Exchanger, isKept: boolean) => () => {
      send.send(tensor, PLACE);
      if (isKept) receive.receive(tensor.shape, PLACE).dispose();
      else tf.tidy(() => void receive.receiveFor(tensor.shape, PLACE, () => nothing));
    };
    const byMessage = (dtype: Dtype, isKept = false) => {
      const [a, b] = transports.map((each) => messageExchanger(each, dtype, 1)) as [Exchanger, Exchanger];
      return cross(a, b, isKept);
    };
    const { device } = currentBinding();
    const link = { own: device, peer: device, name: `bench_${bytes}` };
    const devices = ([0, 1] as const).map((part) => new DeviceExchange({ ...link, part }));
    const [first, second] = devices.map((each) => each.exchanger(false)) as [Exchanger, Exchanger];
    const copy = () => {
      libc.memcpy(shares[turn++ % 2]!, source, bytes);
    };
    const timings = await interleave(
      [
        { name: 'plain copy', run: copy },
        { name: 'msgpack', run: byMessage('float32') },
        { name: 'msgpack kept', run: byMessage('float32', true) },
        { name: 'msgpack float16', run: byMessage('float16') },
        { name: 'device', run: cross(first, second, true) },
      ],
      rounds,
      10,
    );
    tensor.dispose();
    for (const each of devices) each.dispose();
    console.log(`\n${(bytes / 1e6).toFixed(2)} MB, sent and received`);
    printTimings(timings, { 'GB/s': (ms) => (bytes / ms / 1e6).toFixed(2) });
    results.push({ bytes, medians: timings.map((each) => [each.name, median(each.times)]), ratios: ratios(timings) });
  }
  nothing.dispose();
  save(name, { results });
}
