/**
 * tfjs-node's binding interface over TensorFlow's C eager API, with every op pinned to one device. The kernels of
 * `@tensorflow/tfjs-node-gpu` run on it instead of the native addon, which cannot choose a device for each thread.
 */
import { NativeError } from '../../errors.js';
import { attr, type OpAttr } from '../c/attributes.js';
import { type Context, type Device, findDevice } from '../c/context.js';
import { copyIn, copyOut } from '../c/copy.js';
import { AttrType, DataType, type Pointer } from '../c/signatures.js';
import { Code, check } from '../c/status.js';
import {
  allocateTensor,
  bytesPerElement,
  handleOf,
  moveHandle,
  newValues,
  readStrings,
  shapeOfHandle,
  typedValues,
  type Values,
  volume,
  withStrings,
} from '../c/tensors.js';
import { type Call, execute, HOST_TYPES, isForHost, succeeds } from './execute.js';

/** What an op returns for each output: tfjs-node's `TensorMetadata`. */
export interface TensorMetadata {
  id: number;
  shape: number[];
  dtype: number;
}

/** tfjs-node's names of constants: `TF_FLOAT`, `TF_ATTR_INT`, … */
const CONSTANTS = Object.fromEntries([
  ...Object.entries(DataType).map(([name, value]) => [`TF_${name}`, value]),
  ...Object.entries(AttrType).map(([name, value]) => [`TF_ATTR_${name}`, value]),
]);

/** tfjs-node's `TFJSBinding`, pinned to one device. Not to be shared between threads; a tensor's id is this binding's. */
export class PinnedBinding {
  readonly version: string;

  readonly #context: Context;
  readonly target: Device;
  /** Full name of the CPU device in whose memory the host's tensors are. */
  readonly host: string;
  readonly #handles = new Map<number, Pointer>();
  /** The shapes of resources, which TensorFlow does not give. */
  readonly #shapes = new Map<number, readonly number[]>();
  readonly #abilities = new Map<string, boolean>();
  #nextId = 1;
  /** Whether it records a graph instead of running ops. */
  readonly isRecording: boolean = false;
  /** Its cancellation, if there is one, ends the ops that run. */
  cancellation: Pointer | undefined;

  constructor(context: Context, device: string) {
    this.#context = context;
    this.target = findDevice(context, device);
    this.host = findDevice(context, 'CPU:0').fullName;
    this.version = context.c.TF_Version();
    Object.assign(this, CONSTANTS, { TF_Version: this.version });
  }

  get device(): string {
    return this.target.fullName;
  }

  /** For tfjs. Our own code reads `target.memory` (where tensors lie) or `target.type` (which kernels there are). */
  isUsingGpuDevice(): boolean {
    return this.target.type !== 'CPU';
  }

  getNumOfTensors(): number {
    return this.#handles.size;
  }

  /** Number and bytes of all tensors and variables, on the device and on the host. Strings count as 0 bytes. */
  held(): { tensors: number; bytes: number } {
    const sizes = [...this.#handles.keys()].map((id) => {
      const { shape, dtype } = this.describe(id);
      if (dtype === DataType.STRING) return 0;
      if (dtype !== DataType.RESOURCE) return volume(shape) * bytesPerElement(dtype);
      return this.#shapes.has(id) ? volume(shape) * bytesPerElement(DataType.FLOAT) : undefined; // a variable, or a queue
    });
    const found = sizes.filter((bytes) => bytes !== undefined);
    return { tensors: found.length, bytes: found.reduce((total, bytes) => total + bytes, 0) };
  }

  /** Copies `values` to the device: for int64 an `Int32Array` of low and high words, for complex64 pairs of floats. */
  createTensor(shape: number[], dtype: number, values: unknown): number {
    if (dtype === DataType.STRING) {
      const attrs = [attr.int('N', 1), attr.string('separator', '')];
      const copy = (handle: Pointer) => this.#execute('StringJoin', [handle], attrs, 1)[0]!;
      return this.adopt(withStrings(this.#context, shape, values as Uint8Array[], copy));
    }
    const handle = this.#hostHandle(shape, dtype, values);
    return this.adopt(HOST_TYPES.has(dtype) ? handle : moveHandle(this.#context, handle, this.device));
  }

  createHostTensor(shape: readonly number[], dtype: number, values: unknown): number {
    return this.adopt(this.#hostHandle(shape, dtype, values));
  }

  #hostHandle(shape: readonly number[], dtype: number, values: unknown): Pointer {
    const typed = typedValues(dtype, values);
    const bytes = volume(shape) * bytesPerElement(dtype);
    if (typed.byteLength !== bytes) {
      const reason = `it holds ${bytes} bytes, and ${typed.byteLength} were given`;
      throw new NativeError(`Cannot make a tensor of shape [${shape}]: ${reason}`, Code.INVALID_ARGUMENT);
    }
    const tensor = allocateTensor(this.#context, dtype, shape, bytes);
    copyIn(this.#context.c.TF_TensorData(tensor), typed);
    return handleOf(this.#context, tensor, shape);
  }

  deleteTensor(id: number): void {
    const handle = this.#handles.get(id);
    if (handle === undefined) return;
    this.#handles.delete(id);
    this.#shapes.delete(id);
    this.#context.c.TFE_DeleteTensorHandle(handle);
  }

  /** Frees every tensor, before the thread ends. */
  deleteAllTensors(): void {
    for (const id of [...this.#handles.keys()]) this.deleteTensor(id);
  }

  /** A copy of the tensor's values. Waits until they are computed. */
  tensorDataSync(id: number): Values {
    return this.#read(id, (data, bytes) => {
      const { shape, dtype } = this.describe(id);
      if (dtype === DataType.STRING) return readStrings(this.#context, data, volume(shape));
      const copy = newValues(dtype, bytes);
      copyOut(copy, data);
      return copy;
    });
  }

  /** Gives `use` the address and size of the tensor's values in host memory, where they are until it returns. */
  #read<T>(id: number, use: (data: Pointer, bytes: number) => T): T {
    const { c, status } = this.#context;
    const tensor = c.TFE_TensorHandleResolve(this.handle(id), status);
    check(this.#context, 'read a tensor');
    try {
      return use(c.TF_TensorData(tensor), c.TF_TensorByteSize(tensor));
    } finally {
      c.TF_DeleteTensor(tensor);
    }
  }

  /** Copies the tensor's bytes, when they are computed. @throws NativeError if `target` has another length. */
  copyTo(id: number, target: Uint8Array): void {
    this.#read(id, (data, bytes) => {
      if (bytes !== target.length) {
        const reason = `it has ${bytes} bytes, and there is space for ${target.length}`;
        throw new NativeError(`Cannot copy a tensor: ${reason}`, Code.INVALID_ARGUMENT);
      }
      copyOut(target, data);
    });
  }

  /**
   * Runs one op on the pinned device, or on the host if {@link isForHost}, or on `device` (full name).
   * @throws NativeError with TensorFlow's code and text, and the op's name.
   */
  executeOp(name: string, attrs: OpAttr[], inputIds: number[], numOutputs: number, device?: string): TensorMetadata[] {
    const inputs = inputIds.map((id) => this.handle(id));
    const ids = Array.from(this.#execute(name, inputs, attrs, numOutputs, device), (handle) => this.adopt(handle));
    try {
      return ids.map((id) => this.describe(id));
    } catch (error) {
      for (const id of ids) this.deleteTensor(id);
      throw error;
    }
  }

  /**
   * Calls a function of the context, like {@link executeOp}. Its nodes may be on other devices.
   * @param outputs shapes and data types of its results, because asking TensorFlow for them takes time.
   */
  callFunction(
    name: string,
    attrs: OpAttr[],
    inputIds: number[],
    outputs: readonly Omit<TensorMetadata, 'id'>[],
    device = this.device,
  ): TensorMetadata[] {
    const inputs = BigUint64Array.from(inputIds, (id) => this.handle(id));
    const handles = this.#execute(name, inputs, attrs, outputs.length, device);
    return outputs.map(({ shape, dtype }, i) => ({ id: this.adopt(handles[i]!), shape, dtype }));
  }

  /**
   * Whether TensorFlow can run something that not every build or device has. Each ability is tried once.
   * @param attempt runs it, reads the result (on a GPU an error may not come sooner), and frees what it made.
   */
  can(ability: string, attempt: (binding: PinnedBinding) => void): boolean {
    const known = this.#abilities.get(ability) ?? succeeds(this.#context, () => attempt(this));
    this.#abilities.set(ability, known);
    return known;
  }

  readonly loadSavedModel = unsupported;
  readonly deleteSavedModel = unsupported;
  readonly runSavedModel = unsupported;
  getNumOfSavedModels(): number {
    return 0;
  }

  /** The TFE_TensorHandle of a tensor. It stays this binding's. */
  handle(id: number): Pointer {
    const handle = this.#handles.get(id);
    if (handle === undefined)
      throw new NativeError(`Cannot use tensor ${id}: it was disposed of`, Code.INVALID_ARGUMENT);
    return handle;
  }

  /** Takes over a TFE_TensorHandle, and returns its id. */
  adopt(handle: Pointer): number {
    const id = this.#nextId++;
    this.#handles.set(id, handle);
    return id;
  }

  /** Sets the shape that {@link describe} gives for a resource. */
  noteShape(id: number, shape: readonly number[]): void {
    this.#shapes.set(id, shape);
  }

  describe(id: number): TensorMetadata {
    const handle = this.handle(id);
    const dtype = this.#context.c.TFE_TensorHandleDataType(handle);
    const shape = this.#shapes.get(id) ?? (dtype === DataType.RESOURCE ? [] : shapeOfHandle(this.#context, handle));
    return { id, shape: [...shape], dtype };
  }

  backingDevice(id: number): string {
    const { c, status } = this.#context;
    const name = c.TFE_TensorHandleBackingDeviceName(this.handle(id), status);
    check(this.#context, 'ask for the device of a tensor');
    const device = this.#context.devices.find(({ fullName }) => fullName === name);
    return device?.memory === 'remote' ? device.name : name;
  }

  #execute(name: string, inputs: Call['inputs'], attrs: OpAttr[], count: number, device?: string): BigUint64Array {
    const where = device ?? (this.#isForHost(name, inputs, attrs) ? this.host : this.device);
    return execute(this.#context, { name, inputs, attrs, count, device: where, cancellation: this.cancellation });
  }

  /** Only for ops: the nodes of functions have devices of their own. */
  #isForHost(name: string, inputs: Call['inputs'], attrs: OpAttr[]): boolean {
    if (this.target.type === 'CPU' || inputs instanceof BigUint64Array) return false;
    const types = inputs.map((input) => this.#context.c.TFE_TensorHandleDataType(input));
    return isForHost(this.#context, name, attrs, types);
  }
}

function unsupported(): never {
  throw new NativeError(
    'Cannot use a SavedModel: this binding does not support them; convert the model to the tfjs layers format',
    Code.UNIMPLEMENTED,
  );
}
