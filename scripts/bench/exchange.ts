/** The exchange's bytes per second by size and transport, beside a plain copy of memory, in turn. */
import * as tf from '@tensorflow/tfjs';
import { createLink, deviceTransport, Mailbox, msgpackTransport, slotBytesFor } from '../../src/exchange/index.js';
import { useDevice } from '../../src/native/binding/backend.js';
import { bytesToAlignment } from '../../src/native/c/copy.js';
import { openLibrary } from '../../src/native/c/load.js';
import { devicePort } from '../../src/tower/port.js';
import { interleave, median, printTimings, ratios, save } from './report.js';

const SIZES = [65_536, 1_048_576, 11_075_584];
const PLACE = { site: 'conv3', step: 1, direction: 'forward' } as const;

/**
 * Prints, for each size, how long it takes to send a tensor and to receive it, in one thread: received where it lies, as
 * at a gather, and kept as a tensor of its own.
 */
export async function benchExchange(rounds: number, name?: string): Promise<void> {
  useDevice('CPU:0');
  const { libc } = openLibrary();
  const results = [];
  for (const bytes of SIZES) {
    const tensor = tf.keep(tf.randomUniform([bytes / 4]).add(1));
    const link = createLink(slotBytesFor(bytes), bytesToAlignment);
    const [a, b] = [new Mailbox(link, 0, 10_000), new Mailbox(link, 1, 10_000)];
    const port = devicePort({});
    const source = new Uint8Array(bytes).fill(1);
    // Two, in turn, as a mailbox has two slots: what lies in the processor's cache is the same then.
    const shares = [0, 1].map(() => new Uint8Array(new SharedArrayBuffer(bytes)));
    let turn = 0;
    const pair = (open: typeof msgpackTransport, dtype?: 'float16', isKept = false) => {
      const [send, receive] = [open(a, 0, port, dtype), open(b, 1, port, dtype)];
      return () => {
        send.send(tensor, PLACE);
        if (isKept) receive.receive(tensor.shape, PLACE).dispose();
        else receive.receiveFor(tensor.shape, PLACE, () => {});
        return undefined;
      };
    };
    const copy = () => {
      libc.memcpy(shares[turn++ % 2]!, source, bytes);
      return undefined;
    };
    const timings = await interleave(
      [
        { name: 'plain copy', run: copy },
        { name: 'msgpack', run: pair(msgpackTransport) },
        { name: 'msgpack kept', run: pair(msgpackTransport, undefined, true) },
        { name: 'msgpack float16', run: pair(msgpackTransport, 'float16') },
        { name: 'device', run: pair(deviceTransport) },
      ],
      rounds,
      10,
    );
    tensor.dispose();
    console.log(`\n${(bytes / 1e6).toFixed(2)} MB, sent and received`);
    printTimings(timings, { 'GB/s': (ms) => (bytes / ms / 1e6).toFixed(2) });
    results.push({ bytes, medians: timings.map((each) => [each.name, median(each.times)]), ratios: ratios(timings) });
  }
  if (name !== undefined) console.log(`written to ${save(name, { results })}`);
}
