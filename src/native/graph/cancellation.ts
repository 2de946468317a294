/** What ends TensorFlow's functions and ops while they run, from any thread of the process. */
import { openContext } from '../c/context.js';
import { openLibrary } from '../c/load.js';
import type { Pointer } from '../c/signatures.js';

/** TensorFlow's cancellation manager: ops that are given it end when it is started, and so do those that come later. */
export class Cancellation {
  #address: Pointer;

  constructor() {
    this.#address = openContext().library.c.TFE_NewCancellationManager();
  }

  /** For ops, and for {@link startCancellation} in another thread. */
  get address(): Pointer {
    return this.#address;
  }

  /** Ends what runs with it. */
  start(): void {
    openContext().library.c.TFE_CancellationManagerStartCancel(this.#address);
  }

  /** Begins anew after {@link start}. What there was stays, some hundred bytes: another thread may be about to start it. */
  renew(): void {
    this.#address = openContext().library.c.TFE_NewCancellationManager();
  }
}

/** Starts a cancellation of another thread. @param address {@link Cancellation.address} */
export function startCancellation(address: Pointer): void {
  openLibrary().c.TFE_CancellationManagerStartCancel(address);
}
