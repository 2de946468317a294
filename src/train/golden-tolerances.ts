/** How far a side may be from a reference file. */
import type { Config } from '../config/config.js';
import { buildNet, type NetOptions, parametersOf } from '../model/net.js';
import { savesByWinograd } from '../native/layers/winograd-conv.js';

/** What is allowed. */
export interface Allowed {
  loss: number;
  norm: number;
  element: number;
  /** Of gradients, which one decision that falls the other way changes. */
  gradient: { norm: number; element: number };
}

/** float32 against float64: what `docs/numerics.md` derives. */
export const EXACT: Allowed = { loss: 1e-5, norm: 1e-4, element: 1e-3, gradient: { norm: 1e-4, element: 1e-3 } };
/** Where convolutions by Winograd's algorithm round to some 1e-6: a near tie of a maximum or a ReLU may fall the other way. */
const WINOGRAD: Allowed = { ...EXACT, gradient: { norm: 1e-3, element: 5e-2 } };
/** Where float16 crosses, of which a ReLU that falls the other way is the worst. */
const HALF: Allowed = { loss: 1e-2, norm: 1e-1, element: 1, gradient: { norm: 1e-1, element: 1 } };

/** What is allowed to the towers, by the way that their convolutions and their messages go. */
export function allowedFor(
  { devices, exchange, compile, convolutions }: Pick<Config, 'devices' | 'exchange' | 'compile' | 'convolutions'>,
  net: NetOptions,
  batch: number,
): Allowed {
  if (exchange.dtype === 'float16') return HALF;
  const canBe = convolutions === 'auto' && compile !== 'xla' && devices.every((name) => name.startsWith('CPU'));
  return canBe && hasWinograd(net, batch) ? WINOGRAD : EXACT;
}

/** Whether a tower has a convolution that is large enough for Winograd's algorithm. */
function hasWinograd(options: NetOptions, batch: number): boolean {
  const net = buildNet(options);
  const kernels = parametersOf(net, 0).filter(({ role, shape }) => role === 'kernel' && shape.length === 4);
  return kernels.some(({ layer, shape }) => {
    const placed = net.layers.find((each) => 'name' in each && each.name === layer)!;
    const [height, width] = placed.input;
    return savesByWinograd(
      [batch, height, width, shape[2]!],
      shape as unknown as readonly [number, number, number, number],
    );
  });
}
