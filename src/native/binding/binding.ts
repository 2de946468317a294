/**
 * tfjs-node's binding interface over TensorFlow's C eager API, with every op pinned to one device. This is what
 * `@tensorflow/tfjs-node-gpu`'s kernels run on, in place of the native addon that cannot choose a device by thread.
 */
import { NativeError } from '../../errors.js';
import type { OpAttr } from '../c/attributes.js';
import { type Context, type Device, findDevice } from '../c/context.js';
import { copyIn, copyOut } from '../c/copy.js';
import { succeeds } from '../c/executor.js';
import { allocateTensor, moveHandle, shapeOfHandle } from '../c/handles.js';
import { AttrType, DataType, type Pointer } from '../c/signatures.js';
import { check } from '../c/status.js';
import { readStrings, stringTensor } from '../c/strings.js';
import { bytesPerElement, newValues, typedValues, type Values, volume } from '../c/values.js';
import { type Call, execute } from './execute.js';
import { HOST_TYPES, isForHost } from './host.js';

/** What an op returns of each output: tfjs-node's `TensorMetadata`. */
export interface TensorMetadata {
  id: number;
  shape: number[];
  dtype: number;
}

type Known = Omit<TensorMetadata, 'id'>;

/** tfjs-node's `TFJSBinding`, pinned to one device. Not to be shared between threads; a tensor's id is this binding's. */
export class PinnedBinding {
  readonly TF_FLOAT = DataType.FLOAT;
  readonly TF_INT32 = DataType.INT32;
  readonly TF_INT64 = DataType.INT64;
  readonly TF_BOOL = DataType.BOOL;
  readonly TF_COMPLEX64 = DataType.COMPLEX64;
  readonly TF_STRING = DataType.STRING;
  readonly TF_RESOURCE = DataType.RESOURCE;
  readonly TF_UINT8 = DataType.UINT8;
  readonly TF_ATTR_STRING = AttrType.STRING;
  readonly TF_ATTR_INT = AttrType.INT;
  readonly TF_ATTR_FLOAT = AttrType.FLOAT;
  readonly TF_ATTR_BOOL = AttrType.BOOL;
  readonly TF_ATTR_TYPE = AttrType.TYPE;
  readonly TF_ATTR_SHAPE = AttrType.SHAPE;
  readonly TF_ATTR_RESOURCE = AttrType.RESOURCE;
  readonly TF_Version: string;
  /** TensorFlow's version. */
  readonly version: string;
  // The interface has these two as classes; tfjs-node only uses them as types.
  readonly TensorMetadata = Object;
  readonly TFEOpAttr = Object;

  readonly #context: Context;
  /** What it is pinned to. */
  readonly target: Device;
  /** Full name of the device in whose memory the host's own values lie. */
  readonly host: string;
  readonly #handles = new Map<number, Pointer>();
  /** Of resources, which TensorFlow does not tell. */
  readonly #shapes = new Map<number, readonly number[]>();
  /** What {@link can} found out. */
  readonly #abilities = new Map<string, boolean>();
  #nextId = 1;
  /** Whether it records a graph in the place of a binding that runs ops. */
  readonly isRecording: boolean = false;
  /** Ends the ops that run, when it is cancelled, if it is there. */
  cancellation: Pointer | undefined;

  /** @throws NativeError when the context has no such device. */
  constructor(context: Context, device: string) {
    this.#context = context;
    this.target = findDevice(context, device);
    this.host = findDevice(context, 'CPU:0').fullName;
    this.version = context.library.c.TF_Version();
    this.TF_Version = this.version;
  }

  /** The pinned device's full name. */
  get device(): string {
    return this.target.fullName;
  }

  /** tfjs's question; ours are `target.memory`, where tensors lie, and `target.type`, which kernels there are. */
  isUsingGpuDevice(): boolean {
    return this.target.type !== 'CPU';
  }

  getNumOfTensors(): number {
    return this.#handles.size;
  }

  /**
   * Makes a tensor on the device out of `values`, which are copied before this returns.
   * int64 takes an `Int32Array` of low and high words, complex64 a `Float32Array` of real and imaginary parts.
   */
  createTensor(shape: number[], dtype: number, values: unknown): number {
    if (dtype === DataType.STRING) {
      const handle = stringTensor(this.#context, shape, values as Uint8Array[], (op, inputs, attrs) =>
        this.#execute(op, inputs, attrs, 1),
      );
      return this.adopt(handle);
    }
    const handle = this.#hostHandle(shape, dtype, values);
    return this.adopt(HOST_TYPES.has(dtype) ? handle : moveHandle(this.#context, handle, this.device));
  }

  /** As {@link createTensor}, in the host's memory whatever the device. */
  createHostTensor(shape: readonly number[], dtype: number, values: unknown): number {
    return this.adopt(this.#hostHandle(shape, dtype, values));
  }

  #hostHandle(shape: readonly number[], dtype: number, values: unknown): Pointer {
    const { library, status } = this.#context;
    const typed = typedValues(dtype, values);
    const bytes = volume(shape) * bytesPerElement(dtype);
    if (typed.byteLength !== bytes) {
      throw new NativeError(
        `Cannot make a tensor of shape [${shape}]: it holds ${bytes} bytes, and ${typed.byteLength} were given`,
        3,
      );
    }
    const { c } = library;
    const tensor = allocateTensor(library, dtype, shape, bytes);
    copyIn(library, c.TF_TensorData(tensor), typed);
    const handle = c.TFE_NewTensorHandle(tensor, status);
    c.TF_DeleteTensor(tensor); // the handle keeps the memory
    check(c, status, `make a tensor of shape [${shape}]`);
    return handle;
  }

  deleteTensor(id: number): void {
    const handle = this.#handles.get(id);
    if (handle === undefined) return;
    this.#handles.delete(id);
    this.#shapes.delete(id);
    this.#context.library.c.TFE_DeleteTensorHandle(handle);
  }

  /** Frees every tensor; for a thread that ends. */
  deleteAllTensors(): void {
    for (const id of [...this.#handles.keys()]) this.deleteTensor(id);
  }

  /** A copy of the tensor's values. Waits until they are computed. */
  tensorDataSync(id: number): Values {
    return this.read(id, (data, dtype, bytes) => {
      const copy = newValues(dtype, bytes);
      copyOut(this.#context.library, copy, data);
      return copy;
    });
  }

  /**
   * Lets `use` see the tensor's bytes in host memory, valid until it returns (strings: `use` is not called).
   * For a tensor on a CPU device no byte is copied.
   */
  read(id: number, use: (data: Pointer, dtype: number, bytes: number) => Values): Values {
    const { library, status } = this.#context;
    const { c } = library;
    const handle = this.handle(id);
    const tensor = c.TFE_TensorHandleResolve(handle, status);
    check(c, status, 'read a tensor');
    try {
      const dtype = c.TFE_TensorHandleDataType(handle);
      const bytes = c.TF_TensorByteSize(tensor);
      if (dtype === DataType.STRING)
        return readStrings(library, c.TF_TensorData(tensor), volume(this.describe(id).shape));
      return use(c.TF_TensorData(tensor), dtype, bytes);
    } finally {
      c.TF_DeleteTensor(tensor);
    }
  }

  /**
   * Copies the tensor's bytes into `target`, as long as they are. Waits until they are computed.
   * @throws NativeError (INVALID_ARGUMENT) when `target` is of another length.
   */
  copyTo(id: number, target: Uint8Array): void {
    this.read(id, (data, _dtype, bytes) => {
      if (bytes !== target.length) {
        throw new NativeError(`Cannot copy a tensor: it has ${bytes} bytes, and there is room for ${target.length}`, 3);
      }
      copyOut(this.#context.library, target, data);
      return target;
    });
  }

  /**
   * Runs one op.
   * @param device full name; by default the pinned one.
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
   * Calls a function that the context has, with as few calls into C as can be.
   * @param outputs shapes and data types of what it returns: asking for each takes time.
   * @param device full name. The function's nodes may be on others.
   * @throws NativeError as {@link executeOp}.
   */
  callFunction(
    name: string,
    attrs: OpAttr[],
    inputIds: number[],
    outputs: readonly Known[],
    device = this.device,
  ): TensorMetadata[] {
    const inputs = BigUint64Array.from(inputIds, (id) => this.handle(id));
    const handles = this.#execute(name, inputs, attrs, outputs.length, device);
    return outputs.map(({ shape, dtype }, i) => ({ id: this.adopt(handles[i]!), shape, dtype }));
  }

  /**
   * Whether this TensorFlow, on this device, runs what not every one has: tried once.
   * @param ability a name for what is tried.
   * @param attempt runs it, reads what came of it, for on a GPU an error may come no sooner, and frees what it made.
   */
  can(ability: string, attempt: (binding: PinnedBinding) => void): boolean {
    const known = this.#abilities.get(ability);
    if (known !== undefined) return known;
    const found = succeeds(this.#context, () => attempt(this));
    this.#abilities.set(ability, found);
    return found;
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
    if (handle === undefined) throw new NativeError(`Cannot use tensor ${id}: it was disposed of`, 3);
    return handle;
  }

  /** Takes over a TFE_TensorHandle. Returns its id. */
  adopt(handle: Pointer): number {
    const id = this.#nextId++;
    this.#handles.set(id, handle);
    return id;
  }

  /** Notes the shape of what a resource holds, for {@link describe}. */
  noteShape(id: number, shape: readonly number[]): void {
    this.#shapes.set(id, shape);
  }

  /** A tensor's shape and data type; a resource's shape is the one that was noted. */
  describe(id: number): TensorMetadata {
    const handle = this.handle(id);
    const dtype = this.#context.library.c.TFE_TensorHandleDataType(handle);
    const shape = this.#shapes.get(id) ?? (dtype === DataType.RESOURCE ? [] : shapeOfHandle(this.#context, handle));
    return { id, shape: [...shape], dtype };
  }

  /** The device whose memory holds the tensor, as TensorFlow reports it (its backing device). */
  backingDevice(id: number): string {
    const { library, status } = this.#context;
    const name = library.c.TFE_TensorHandleBackingDeviceName(this.handle(id), status);
    check(library.c, status, 'ask for the device of a tensor');
    return name;
  }

  #execute(name: string, inputs: Call['inputs'], attrs: OpAttr[], count: number, device?: string): BigUint64Array {
    const where = device ?? (this.#isForHost(name, inputs, attrs) ? this.host : this.device);
    return execute(this.#context, { name, inputs, attrs, count, device: where, cancellation: this.cancellation });
  }

  /** Of an op alone: a function's nodes say themselves where they are. */
  #isForHost(name: string, inputs: Call['inputs'], attrs: OpAttr[]): boolean {
    if (this.target.type === 'CPU' || inputs instanceof BigUint64Array) return false;
    const types = inputs.map((input) => this.#context.library.c.TFE_TensorHandleDataType(input));
    return isForHost(this.#context, name, attrs, types);
  }
}

function unsupported(): never {
  throw new NativeError(
    'Cannot use a SavedModel: this binding does not support them; convert the model to the tfjs layers format',
    12,
  );
}
