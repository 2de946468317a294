/**
 * The part of TensorFlow's C API that is used here, as koffi prototypes.
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
  TFE_TensorHandleCopySharingTensor(handle: Pointer, status: Pointer): Pointer;
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
}

/** The C prototypes, one a function of {@link TensorFlowC}. */
export const PROTOTYPES: Record<keyof TensorFlowC, string> = {
  TF_Version: 'const char *TF_Version()',
  TF_NewStatus: 'void *TF_NewStatus()',
  TF_GetCode: 'int TF_GetCode(void *status)',
  TF_Message: 'const char *TF_Message(void *status)',

  TF_AllocateTensor: 'void *TF_AllocateTensor(int dtype, const int64_t *dims, int rank, size_t bytes)',
  TF_NewTensor:
    'void *TF_NewTensor(int dtype, const int64_t *dims, int rank, void *data, size_t bytes, void *deallocator, void *argument)',
  TF_DeleteTensor: 'void TF_DeleteTensor(void *tensor)',
  TF_TensorData: 'void *TF_TensorData(void *tensor)',
  TF_TensorByteSize: 'size_t TF_TensorByteSize(void *tensor)',

  TF_StringInit: 'void TF_StringInit(void *string)',
  TF_StringCopy: 'void TF_StringCopy(void *string, const void *bytes, size_t size)',
  TF_StringDealloc: 'void TF_StringDealloc(void *string)',
  TF_StringGetSize: 'size_t TF_StringGetSize(void *string)',
  TF_StringGetDataPointer: 'void *TF_StringGetDataPointer(void *string)',

  TFE_NewContextOptions: 'void *TFE_NewContextOptions()',
  TFE_DeleteContextOptions: 'void TFE_DeleteContextOptions(void *options)',
  TFE_ContextOptionsSetConfig:
    'void TFE_ContextOptionsSetConfig(void *options, const void *proto, size_t size, void *status)',
  TFE_ContextOptionsSetDevicePlacementPolicy:
    'void TFE_ContextOptionsSetDevicePlacementPolicy(void *options, int policy)',
  TFE_NewContext: 'void *TFE_NewContext(void *options, void *status)',
  TFE_ContextListDevices: 'void *TFE_ContextListDevices(void *context, void *status)',
  TF_DeleteDeviceList: 'void TF_DeleteDeviceList(void *list)',
  TF_DeviceListCount: 'int TF_DeviceListCount(void *list)',
  TF_DeviceListName: 'const char *TF_DeviceListName(void *list, int index, void *status)',
  TF_DeviceListType: 'const char *TF_DeviceListType(void *list, int index, void *status)',
  TF_DeviceListMemoryBytes: 'int64_t TF_DeviceListMemoryBytes(void *list, int index, void *status)',

  TFE_NewTensorHandle: 'void *TFE_NewTensorHandle(void *tensor, void *status)',
  TFE_DeleteTensorHandle: 'void TFE_DeleteTensorHandle(void *handle)',
  TFE_TensorHandleDataType: 'int TFE_TensorHandleDataType(void *handle)',
  TFE_TensorHandleNumDims: 'int TFE_TensorHandleNumDims(void *handle, void *status)',
  TFE_TensorHandleDim: 'int64_t TFE_TensorHandleDim(void *handle, int index, void *status)',
  TFE_TensorHandleResolve: 'void *TFE_TensorHandleResolve(void *handle, void *status)',
  TFE_TensorHandleCopySharingTensor: 'void *TFE_TensorHandleCopySharingTensor(void *handle, void *status)',
  TFE_TensorHandleBackingDeviceName: 'const char *TFE_TensorHandleBackingDeviceName(void *handle, void *status)',
  TFE_TensorHandleCopyToDevice:
    'void *TFE_TensorHandleCopyToDevice(void *handle, void *context, const char *device, void *status)',

  TFE_NewOp: 'void *TFE_NewOp(void *context, const char *name, void *status)',
  TFE_DeleteOp: 'void TFE_DeleteOp(void *op)',
  TFE_OpSetDevice: 'void TFE_OpSetDevice(void *op, const char *device, void *status)',
  TFE_OpAddInput: 'void TFE_OpAddInput(void *op, void *handle, void *status)',
  TFE_OpAddInputList: 'void TFE_OpAddInputList(void *op, const void *handles, int count, void *status)',
  TFE_OpSetAttrString: 'void TFE_OpSetAttrString(void *op, const char *name, const void *value, size_t size)',
  TFE_OpSetAttrInt: 'void TFE_OpSetAttrInt(void *op, const char *name, int64_t value)',
  TFE_OpSetAttrFloat: 'void TFE_OpSetAttrFloat(void *op, const char *name, float value)',
  TFE_OpSetAttrBool: 'void TFE_OpSetAttrBool(void *op, const char *name, uint8_t value)',
  TFE_OpSetAttrType: 'void TFE_OpSetAttrType(void *op, const char *name, int value)',
  TFE_OpSetAttrShape:
    'void TFE_OpSetAttrShape(void *op, const char *name, const int64_t *dims, int rank, void *status)',
  TFE_OpSetAttrStringList:
    'void TFE_OpSetAttrStringList(void *op, const char *name, const void *values, const void *sizes, int count)',
  TFE_OpSetAttrIntList: 'void TFE_OpSetAttrIntList(void *op, const char *name, const int64_t *values, int count)',
  TFE_OpSetAttrFloatList: 'void TFE_OpSetAttrFloatList(void *op, const char *name, const float *values, int count)',
  TFE_OpSetAttrBoolList: 'void TFE_OpSetAttrBoolList(void *op, const char *name, const uint8_t *values, int count)',
  TFE_OpSetAttrTypeList: 'void TFE_OpSetAttrTypeList(void *op, const char *name, const int *values, int count)',
  TFE_OpSetAttrShapeList:
    'void TFE_OpSetAttrShapeList(void *op, const char *name, const void *dims, const int *ranks, int count, void *status)',
  TFE_ContextAddFunction: 'void TFE_ContextAddFunction(void *context, void *fn, void *status)',
  TFE_ContextRemoveFunction: 'void TFE_ContextRemoveFunction(void *context, const char *name, void *status)',

  TF_NewGraph: 'void *TF_NewGraph()',
  TF_DeleteGraph: 'void TF_DeleteGraph(void *graph)',
  TF_NewOperation: 'void *TF_NewOperation(void *graph, const char *op, const char *name)',
  TF_AddInput: 'void TF_AddInput(void *description, TF_Output input)',
  TF_AddControlInput: 'void TF_AddControlInput(void *description, void *operation)',
  TF_AddInputList: 'void TF_AddInputList(void *description, const void *inputs, int count)',
  TF_SetAttrString: 'void TF_SetAttrString(void *description, const char *name, const void *value, size_t size)',
  TF_SetAttrInt: 'void TF_SetAttrInt(void *description, const char *name, int64_t value)',
  TF_SetAttrFloat: 'void TF_SetAttrFloat(void *description, const char *name, float value)',
  TF_SetAttrBool: 'void TF_SetAttrBool(void *description, const char *name, uint8_t value)',
  TF_SetAttrType: 'void TF_SetAttrType(void *description, const char *name, int value)',
  TF_SetAttrShape: 'void TF_SetAttrShape(void *description, const char *name, const int64_t *dims, int rank)',
  TF_SetAttrStringList:
    'void TF_SetAttrStringList(void *description, const char *name, const void *values, const void *sizes, int count)',
  TF_SetAttrIntList: 'void TF_SetAttrIntList(void *description, const char *name, const int64_t *values, int count)',
  TF_SetAttrFloatList: 'void TF_SetAttrFloatList(void *description, const char *name, const float *values, int count)',
  TF_SetAttrBoolList: 'void TF_SetAttrBoolList(void *description, const char *name, const uint8_t *values, int count)',
  TF_SetAttrTypeList: 'void TF_SetAttrTypeList(void *description, const char *name, const int *values, int count)',
  TF_SetAttrShapeList:
    'void TF_SetAttrShapeList(void *description, const char *name, const void *dims, const int *ranks, int count)',
  TF_SetAttrTensor: 'void TF_SetAttrTensor(void *description, const char *name, void *tensor, void *status)',
  TF_FinishOperation: 'void *TF_FinishOperation(void *description, void *status)',
  TF_OperationNumOutputs: 'int TF_OperationNumOutputs(void *operation)',
  TF_OperationOutputType: 'int TF_OperationOutputType(TF_Output output)',
  TF_GraphGetTensorNumDims: 'int TF_GraphGetTensorNumDims(void *graph, TF_Output output, void *status)',
  TF_GraphGetTensorShape:
    'void TF_GraphGetTensorShape(void *graph, TF_Output output, int64_t *dims, int rank, void *status)',
  TF_GraphSetTensorShape:
    'void TF_GraphSetTensorShape(void *graph, TF_Output output, const int64_t *dims, int rank, void *status)',
  TF_GraphGetOpDef: 'void TF_GraphGetOpDef(void *graph, const char *op, void *buffer, void *status)',
  TF_GraphCopyFunction: 'void TF_GraphCopyFunction(void *graph, const void *fn, const void *gradient, void *status)',
  TF_NewBuffer: 'void *TF_NewBuffer()',
  TF_DeleteBuffer: 'void TF_DeleteBuffer(void *buffer)',
  TF_GraphToFunctionWithControlOutputs:
    'void *TF_GraphToFunctionWithControlOutputs(void *graph, const char *name, uint8_t appendHash, int numOperations, const void *operations, int numInputs, const void *inputs, int numOutputs, const void *outputs, const void *outputNames, int numControls, const void *controls, const void *controlNames, const void *options, const char *description, void *status)',
  TF_DeleteFunction: 'void TF_DeleteFunction(void *fn)',
  TF_FunctionName: 'const char *TF_FunctionName(void *fn)',

  TFE_Execute: 'void TFE_Execute(void *op, void *outputs, int *numOutputs, void *status)',
};

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
