/** Reads what TensorFlow's profiler collected: the message `XSpace` of `tsl/profiler/protobuf/xplane.proto`. */
import { Message } from './protobuf.js';

/** Something that ran: an op on a thread of the host, a kernel or a copy on a GPU, or a part of TensorFlow itself. */
export interface ProfiledEvent {
  /** For an op its node and its type, `tower0/conv1/forward/Conv2D_7:Conv2D`. */
  name: string;
  /** On a GPU: the op that it belongs to, by the same name; '' if the profiler does not say. */
  op: string;
  /** `/host:CPU`, `/device:GPU:0`. */
  plane: string;
  /** Name of the thread or of the GPU's stream; unique in the plane. */
  line: string;
  /** Milliseconds from the origin. */
  start: number;
  ms: number;
}

/** The statistic of a GPU's events that names the op: `CreateXEvent()` in `xla/backends/profiler/gpu/cupti_collector.cc`. */
const OP_STAT = 'tf_op';

/**
 * The events of a serialized `XSpace`, in the order in which it has them.
 * @param origin milliseconds since 1970 by the profiler's clock, from which the times count.
 */
export function eventsOf(xspace: Uint8Array, origin: number): ProfiledEvent[] {
  return new Message(xspace).messages(1).flatMap((plane) => planeEvents(plane, origin));
}

function planeEvents(plane: Message, origin: number): ProfiledEvent[] {
  const name = plane.text(2);
  const events = namesOf(plane, 4);
  const stats = namesOf(plane, 5);
  const isDevice = name.startsWith('/device:');
  return plane.messages(3).flatMap((line, i) => {
    const lineName = `${line.text(2) || line.text(11) || 'line'} ${i}`;
    const start = numberAt(line, 3) / 1e6 - origin;
    return line.messages(4).map((event): ProfiledEvent => {
      return {
        name: events.get(numberAt(event, 1)) ?? '',
        op: isDevice ? opOf(event, stats) : '',
        plane: name,
        line: lineName,
        start: start + numberAt(event, 2) / 1e9,
        ms: numberAt(event, 3) / 1e9,
      };
    });
  });
}

/** A map of a plane from ids to names: those of events (4) or of statistics (5). */
function namesOf(plane: Message, field: number): Map<number, string> {
  return new Map(
    plane.messages(field).map((entry) => [numberAt(entry, 1), entry.messages(2)[0]?.text(2) ?? ''] as const),
  );
}

function opOf(event: Message, stats: ReadonlyMap<number, string>): string {
  const found = event.messages(4).find((stat) => stats.get(numberAt(stat, 1)) === OP_STAT);
  if (!found) return '';
  const [reference] = found.all(7);
  return typeof reference === 'number' ? (stats.get(reference) ?? '') : found.text(5);
}

/** A number, 0 if it is absent as protobuf defines it. Above 2⁵³ it is rounded: a time in ns since 1970 to 256 ns. */
function numberAt(message: Message, field: number): number {
  const value = message.all(field).at(-1);
  return typeof value === 'number' ? value : 0;
}
