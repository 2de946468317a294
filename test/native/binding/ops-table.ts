/** Ops of tfjs-core with inputs, to run on two backends. */
import { ARRAYS } from './ops-arrays.js';
import { ELEMENTWISE } from './ops-elementwise.js';
import { NETS } from './ops-nets.js';
import type { Row } from './ops-row.js';

export const OPS: readonly Row[] = [...ELEMENTWISE, ...NETS, ...ARRAYS];
