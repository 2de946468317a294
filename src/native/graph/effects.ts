/** The order of what ops of a function do beside computing: nothing but their inputs tells an op its turn. */
import type { Pointer } from '../c/signatures.js';

/** The only op that uses a variable and leaves it as it is. */
const READER = 'ReadVariableOp';

/** For each thing (a variable, the world) the op that changed it last, and those that have read it since. */
export class Effects {
  readonly #order = new Map<string, { writer?: Pointer; readers: Pointer[] }>();

  /** The ops that have to run before one that touches these things: a read after the last change, a change after all. */
  before(op: string, things: readonly string[]): Set<Pointer> {
    return new Set(
      things.flatMap((thing) => {
        const { writer, readers = [] } = this.#order.get(thing) ?? {};
        return [...(writer === undefined ? [] : [writer]), ...(op === READER ? [] : readers)];
      }),
    );
  }

  /** Notes that an op touches these things. */
  note(op: string, things: readonly string[], operation: Pointer): void {
    for (const thing of things) {
      const order = this.#order.get(thing) ?? { readers: [] };
      if (op === READER) order.readers.push(operation);
      else Object.assign(order, { writer: operation, readers: [] });
      this.#order.set(thing, order);
    }
  }
}
