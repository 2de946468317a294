/**
 * The part of TensorFlow's C API that is used here, as TypeScript has it; `prototypes.ts` has the same for koffi.
 *
 * Sources: `tensorflow/c/c_api.h`, `tensorflow/c/tf_tensor.h`, `tensorflow/c/tf_tstring.h`,
 * `tensorflow/c/eager/c_api.h`, `tensorflow/c/eager/c_api_experimental.h` (release 2.21).
 * A pointer is a `bigint` (its address), so that it can cross threads; `null` stands for NULL.
 */

/** An address in this process; 0n is NULL. */
export type Pointer = bigint;
type Text = string | Uint8Array | null;

/** `TF_Output`: one output of an operation in a graph. */
export interface GraphOutput {
  oper: Pointer;
  index: number;
}

/** The C structs that prototypes name, as koffi declares them. */
export const STRUCTS = { TF_Output: { oper: 'void *', index: 'int' } } as const;

/** Each name is bound to the C function of the same name. */
export interface TensorFlowC {
  TF_Version(): string;
  TF_NewStatus(): Pointer;
  TF_DeleteStatus(status: Pointer): void;
  TF_GetCode(status: Pointer): number;
  TF_Message(status: Pointer): string;

  TF_AllocateTensor(dtype: number, dims: BigInt64Array, rank: number, bytes: number): Pointer;
  TF_NewTensor(
    dtype: number,
    dims: BigInt64Array,
    rank: number,
    data: Pointer,
    bytes: number,
    deallocator: Pointer,
    argument: Pointer,
  ): Pointer;
  TF_DeleteTensor(tensor: Pointer): void;
  TF_TensorData(tensor: Pointer): Pointer;
  TF_TensorByteSize(tensor: Pointer): number;

  TF_StringInit(string: Pointer): void;
  TF_StringCopy(string: Pointer, bytes: Uint8Array, size: number): void;
  TF_StringDealloc(string: Pointer): void;
  TF_StringGetSize(string: Pointer): number;
  TF_StringGetDataPointer(string: Pointer): Pointer;

  TFE_NewContextOptions(): Pointer;
  TFE_DeleteContextOptions(options: Pointer): void;
  TFE_ContextOptionsSetConfig(options: Pointer, proto: Uint8Array, size: number, status: Pointer): void;
  TFE_ContextOptionsSetDevicePlacementPolicy(options: Pointer, policy: number): void;
  TFE_NewContext(options: Pointer, status: Pointer): Pointer;
  TFE_ContextListDevices(context: Pointer, status: Pointer): Pointer;
  TF_DeleteDeviceList(list: Pointer): void;
  TF_DeviceListCount(list: Pointer): number;
  TF_DeviceListName(list: Pointer, index: number, status: Pointer): string;
  TF_DeviceListType(list: Pointer, index: number, status: Pointer): string;
  TF_DeviceListMemoryBytes(list: Pointer, index: number, status: Pointer): number;

  TFE_NewTensorHandle(tensor: Pointer, status: Pointer): Pointer;
  TFE_DeleteTensorHandle(handle: Pointer): void;
  TFE_TensorHandleDataType(handle: Pointer): number;
  TFE_TensorHandleNumDims(handle: Pointer, status: Pointer): number;
  TFE_TensorHandleDim(handle: Pointer, index: number, status: Pointer): number;
  TFE_TensorHandleResolve(handle: Pointer, status: Pointer): Pointer;
  TFE_TensorHandleBackingDeviceName(handle: Pointer, status: Pointer): string;
  TFE_TensorHandleCopyToDevice(handle: Pointer, context: Pointer, device: string, status: Pointer): Pointer;

  TFE_NewOp(context: Pointer, name: string, status: Pointer): Pointer;
  TFE_DeleteOp(op: Pointer): void;
  TFE_OpSetDevice(op: Pointer, device: string, status: Pointer): void;
  TFE_OpAddInput(op: Pointer, handle: Pointer, status: Pointer): void;
  TFE_OpAddInputList(op: Pointer, handles: BigUint64Array, count: number, status: Pointer): void;
  TFE_OpSetAttrString(op: Pointer, name: string, value: Text, size: number): void;
  TFE_OpSetAttrInt(op: Pointer, name: string, value: number): void;
  TFE_OpSetAttrFloat(op: Pointer, name: string, value: number): void;
  TFE_OpSetAttrBool(op: Pointer, name: string, value: number): void;
  TFE_OpSetAttrType(op: Pointer, name: string, value: number): void;
  TFE_OpSetAttrShape(op: Pointer, name: string, dims: BigInt64Array | null, rank: number, status: Pointer): void;
  TFE_OpSetAttrStringList(
    op: Pointer,
    name: string,
    values: BigUint64Array,
    sizes: BigUint64Array,
    count: number,
  ): void;
  TFE_OpSetAttrIntList(op: Pointer, name: string, values: BigInt64Array, count: number): void;
  TFE_OpSetAttrFloatList(op: Pointer, name: string, values: Float32Array, count: number): void;
  TFE_OpSetAttrBoolList(op: Pointer, name: string, values: Uint8Array, count: number): void;
  TFE_OpSetAttrTypeList(op: Pointer, name: string, values: Int32Array, count: number): void;
  TFE_OpSetAttrShapeList(
    op: Pointer,
    name: string,
    dims: BigUint64Array,
    ranks: Int32Array,
    count: number,
    status: Pointer,
  ): void;
  TFE_ContextAddFunction(context: Pointer, fn: Pointer, status: Pointer): void;
  TFE_ContextRemoveFunction(context: Pointer, name: string, status: Pointer): void;

  TF_GetRegisteredKernelsForOp(op: string, status: Pointer): Pointer;
  TFE_ContextEnableGraphCollection(context: Pointer): void;
  TFE_ContextDisableGraphCollection(context: Pointer): void;
  TFE_ContextExportRunMetadata(context: Pointer, buffer: Pointer, status: Pointer): void;

  TF_NewGraph(): Pointer;
  TF_DeleteGraph(graph: Pointer): void;
  TF_NewOperation(graph: Pointer, op: string, name: string): Pointer;
  TF_AddInput(description: Pointer, input: GraphOutput): void;
  TF_AddControlInput(description: Pointer, operation: Pointer): void;
  TF_AddInputList(description: Pointer, inputs: BigUint64Array, count: number): void;
  TF_SetAttrString(description: Pointer, name: string, value: Text, size: number): void;
  TF_SetAttrInt(description: Pointer, name: string, value: number): void;
  TF_SetAttrFloat(description: Pointer, name: string, value: number): void;
  TF_SetAttrBool(description: Pointer, name: string, value: number): void;
  TF_SetAttrType(description: Pointer, name: string, value: number): void;
  TF_SetAttrShape(description: Pointer, name: string, dims: BigInt64Array | null, rank: number): void;
  TF_SetAttrStringList(
    description: Pointer,
    name: string,
    values: BigUint64Array,
    sizes: BigUint64Array,
    count: number,
  ): void;
  TF_SetAttrIntList(description: Pointer, name: string, values: BigInt64Array, count: number): void;
  TF_SetAttrFloatList(description: Pointer, name: string, values: Float32Array, count: number): void;
  TF_SetAttrBoolList(description: Pointer, name: string, values: Uint8Array, count: number): void;
  TF_SetAttrTypeList(description: Pointer, name: string, values: Int32Array, count: number): void;
  TF_SetAttrShapeList(description: Pointer, name: string, dims: BigUint64Array, ranks: Int32Array, count: number): void;
  TF_SetAttrTensor(description: Pointer, name: string, tensor: Pointer, status: Pointer): void;
  TF_FinishOperation(description: Pointer, status: Pointer): Pointer;
  TF_OperationNumOutputs(operation: Pointer): number;
  TF_OperationOutputType(output: GraphOutput): number;
  TF_GraphGetTensorNumDims(graph: Pointer, output: GraphOutput, status: Pointer): number;
  TF_GraphGetTensorShape(graph: Pointer, output: GraphOutput, dims: BigInt64Array, rank: number, status: Pointer): void;
  TF_GraphSetTensorShape(graph: Pointer, output: GraphOutput, dims: BigInt64Array, rank: number, status: Pointer): void;
  TF_GraphGetOpDef(graph: Pointer, op: string, buffer: Pointer, status: Pointer): void;
  TF_GraphCopyFunction(graph: Pointer, fn: Pointer, gradient: null, status: Pointer): void;
  TF_NewBuffer(): Pointer;
  TF_DeleteBuffer(buffer: Pointer): void;
  TF_GraphToFunctionWithControlOutputs(
    graph: Pointer,
    name: string,
    appendHash: number,
    numOperations: number,
    operations: BigUint64Array,
    numInputs: number,
    inputs: BigUint64Array,
    numOutputs: number,
    outputs: BigUint64Array,
    outputNames: null,
    numControls: number,
    controls: BigUint64Array,
    controlNames: null,
    options: null,
    description: null,
    status: Pointer,
  ): Pointer;
  TF_DeleteFunction(fn: Pointer): void;
  TF_FunctionName(fn: Pointer): string;

  TFE_Execute(op: Pointer, outputs: BigUint64Array, numOutputs: Int32Array, status: Pointer): void;

  TF_SetDevice(description: Pointer, device: string): void;

  TFE_NewExecutor(isAsync: boolean, streams: boolean, mostInFlight: number): Pointer;
  TFE_DeleteExecutor(executor: Pointer): void;
  TFE_ExecutorWaitForAllPendingNodes(executor: Pointer, status: Pointer): void;
  TFE_ExecutorClearError(executor: Pointer): void;
  TFE_ContextGetExecutorForThread(context: Pointer): Pointer;
  TFE_ContextSetExecutorForThread(context: Pointer, executor: Pointer): void;
  TFE_NewCancellationManager(): Pointer;
  TFE_CancellationManagerStartCancel(cancellation: Pointer): void;
  TFE_OpSetCancellationManager(op: Pointer, cancellation: Pointer, status: Pointer): void;
}

/** Data types: `TF_DataType` in `tensorflow/c/tf_datatype.h`. */
export const DataType = {
  FLOAT: 1,
  DOUBLE: 2,
  INT32: 3,
  UINT8: 4,
  STRING: 7,
  COMPLEX64: 8,
  INT64: 9,
  BOOL: 10,
  HALF: 19,
  RESOURCE: 20,
  VARIANT: 21,
} as const;

/** Attribute kinds: `TF_AttrType` in `tensorflow/c/tf_attrtype.h`. `RESOURCE` is tfjs's own, never sent to C. */
export const AttrType = { STRING: 0, INT: 1, FLOAT: 2, BOOL: 3, TYPE: 4, SHAPE: 5, RESOURCE: 99 } as const;
