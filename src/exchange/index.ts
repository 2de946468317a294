export { allGather, type Crossing, type Exchanger } from './all-gather.js';
export type { Dtype } from './codec.js';
export {
  abortMailboxes,
  createMailboxes,
  isAborted,
  Mailbox,
  type Mailboxes,
  noteCancellation,
  noteExecutor,
  type Place,
  startCancellations,
  takeExecutor,
  withdrawCancellation,
} from './mailbox.js';
export {
  type Costs,
  type Described,
  msgpackTransport,
  type Sendable,
  scaleOf,
  slotBytesFor,
  type Transport,
} from './transport.js';
