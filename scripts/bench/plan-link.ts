/** The rate and the delay of a link by plain TCP, as iperf and ping measure them. */
import { once } from 'node:events';
import { connect, createServer } from 'node:net';
import { median } from '../../src/numbers.js';
import { isEntry } from '../trainer.js';

export interface MeasuredLink {
  bytesPerMs: number;
  roundTripMs: number;
  /** See `Link` in `plan/task-list.ts`. */
  frameBytes: number;
}

const PORT = 9_000;
const [SHORT, FRAME, LONG] = [4, 65_536, 3_000_000];
const ROUNDS = 9;

/** Answers each message with a byte. A message is its length, uint32, and so many bytes. */
function serve(): void {
  const server = createServer((socket) => {
    let left = 0;
    socket.setNoDelay(true);
    socket.on('data', (piece) => {
      for (let at = 0; at < piece.length; ) {
        if (left === 0) {
          left = piece.readUInt32LE(at);
          at += 4;
        }
        const taken = Math.min(left, piece.length - at);
        left -= taken;
        at += taken;
        if (left === 0) socket.write('.');
      }
    });
  });
  server.listen(PORT, '0.0.0.0', () => console.log('ready'));
}

async function measure(host: string): Promise<MeasuredLink> {
  const socket = connect(PORT, host);
  socket.setNoDelay(true);
  const timesOf = async (bytes: number) => {
    const message = Buffer.alloc(4 + bytes);
    message.writeUInt32LE(bytes);
    const times: number[] = [];
    for (let round = 0; round < ROUNDS; round++) {
      const started = performance.now();
      socket.write(message);
      await once(socket, 'data');
      times.push(performance.now() - started);
    }
    return median(times);
  };
  await timesOf(LONG); // TCP starts slowly
  const roundTripMs = await timesOf(SHORT);
  const bytesPerMs = LONG / Math.max(0.01, (await timesOf(LONG)) - roundTripMs);
  const storedMs = (await timesOf(FRAME)) - roundTripMs - FRAME / bytesPerMs;
  socket.destroy();
  return { bytesPerMs, roundTripMs, frameBytes: Math.min(FRAME, Math.max(0, storedMs * bytesPerMs)) };
}

if (isEntry(import.meta.url)) {
  const [host] = process.argv.slice(2);
  if (host === undefined) serve();
  else console.log(JSON.stringify(await measure(host)));
}
