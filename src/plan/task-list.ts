/** The tasks of a step while they are made, the resources that they use, and the bytes between machines. */
import type { RemoteCost } from './rates.js';
import type { Kind, Resource, Task } from './schedule.js';

/** The network between machines; every machine has one connection to it. */
export interface Link {
  /** Bytes per millisecond in each direction. */
  bytesPerMs: number;
  /** Milliseconds from one machine to another. */
  delayMs: number;
  /** A switch on the way stores frames of up to so many bytes before it sends them on. Default 0. */
  frameBytes?: number;
}

/** Bytes that go from one machine to another in a step. */
export interface Traffic {
  from: string;
  to: string;
  kind: Kind;
  bytes: number;
}

export class TaskList {
  readonly tasks: Task[] = [];
  readonly #traffic = new Map<string, Traffic>();
  readonly #resources = new Map<string, Resource>();
  readonly #link: Link;
  readonly #message: RemoteCost['message'];

  /** @param message what a message between machines costs besides the link. */
  constructor(link: Link, message: RemoteCost['message']) {
    this.#link = link;
    this.#message = message;
  }

  get traffic(): Traffic[] {
    return [...this.#traffic.values()];
  }

  add(task: Partial<Task> & Pick<Task, 'kind'>): Task {
    const whole: Task = { ms: 0, delayMs: 0, uses: [], after: [], ...task };
    this.tasks.push(whole);
    return whole;
  }

  /** Adds a message between machines. */
  cross(
    kind: Kind,
    from: string,
    to: string,
    bytes: number,
    after: readonly Task[],
    roundTrips = this.#message.roundTrips,
  ): Task {
    const key = `${kind} ${from} ${to}`;
    const traffic = this.#traffic.get(key) ?? { from, to, kind, bytes: 0 };
    this.#traffic.set(key, { ...traffic, bytes: traffic.bytes + bytes });
    const { bytesPerMs, delayMs: wayMs, frameBytes = 0 } = this.#link;
    const ms = bytes / Math.min(bytesPerMs, this.#message.bytesPerMs);
    const delayMs = this.#message.ms + 2 * roundTrips * wayMs + Math.min(bytes, frameBytes) / bytesPerMs;
    const uses = [this.resource(`${from} up`, 1), this.resource(`${to} down`, 1)];
    return this.add({ kind, ms, delayMs, uses, after });
  }

  /** The same one for the same name. */
  resource(name: string, slots: number): Resource {
    const found = this.#resources.get(name) ?? { name, slots };
    this.#resources.set(name, found);
    return found;
  }
}
