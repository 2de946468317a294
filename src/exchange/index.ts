export type { Dtype } from './codec.js';
export { packControl, unpackControl } from './control.js';
export { gather, receiveHalf, sendHalf } from './gather.js';
export { abortLink, createLink, isAborted, type Link, Mailbox, type Place } from './mailbox.js';
export { stall } from './stall.js';
export { TAMPER_KINDS, TamperedMailbox, type Tampering } from './tamper.js';
export {
  type Costs,
  deviceTransport,
  type Exchanger,
  msgpackTransport,
  slotBytesFor,
  type TensorPort,
  type Transport,
} from './transport.js';
