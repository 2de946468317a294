/**
 * The part of TensorFlow's C API that is used here, as its headers declare it; the TypeScript types follow from that.
 *
 * Sources: `tensorflow/c/c_api.h`, `tensorflow/c/tf_tensor.h`, `tensorflow/c/tf_tstring.h`,
 * `tensorflow/c/eager/c_api.h`, `tensorflow/c/eager/c_api_experimental.h` (release 2.21). Pointers to TensorFlow's own
 * structs are `void *`, and an array of such pointers is an array of their addresses (`uint64_t *`).
 */
import type { AbslStatus, CFunctions, GraphOutput, Pointer } from '../install/koffi.js';

export type { AbslStatus, GraphOutput, Pointer };

/** Each name is bound to the C function of the same name. */
export type TensorFlowC = CFunctions<(typeof PROTOTYPES)[number]>;

export const PROTOTYPES = [
  'const char *TF_Version()',
  'void *TF_NewStatus()',
  'void TF_DeleteStatus(void *status)',
  'int TF_GetCode(void *status)',
  'const char *TF_Message(void *status)',

  'void *TF_AllocateTensor(int dtype, const int64_t *dims, int rank, size_t bytes)',
  'void *TF_NewTensor(int dtype, const int64_t *dims, int rank, void *data, size_t bytes, void *free, void *argument)',
  'void TF_DeleteTensor(void *tensor)',
  'void *TF_TensorData(void *tensor)',
  'size_t TF_TensorByteSize(void *tensor)',

  'void TF_StringInit(void *string)',
  'void TF_StringCopy(void *string, const void *bytes, size_t size)',
  'void TF_StringDealloc(void *string)',
  'size_t TF_StringGetSize(void *string)',
  'void *TF_StringGetDataPointer(void *string)',

  'void *TFE_NewContextOptions()',
  'void TFE_DeleteContextOptions(void *options)',
  'void TFE_ContextOptionsSetConfig(void *options, const void *proto, size_t size, void *status)',
  'void TFE_ContextOptionsSetDevicePlacementPolicy(void *options, int policy)',
  'void *TFE_NewContext(void *options, void *status)',
  'void *TFE_ContextListDevices(void *context, void *status)',
  'void TF_DeleteDeviceList(void *list)',
  'int TF_DeviceListCount(void *list)',
  'const char *TF_DeviceListName(void *list, int index, void *status)',
  'const char *TF_DeviceListType(void *list, int index, void *status)',
  'int64_t TF_DeviceListMemoryBytes(void *list, int index, void *status)',
  'uint64_t TF_DeviceListIncarnation(void *list, int index, void *status)',

  'void *TFE_NewTensorHandle(void *tensor, void *status)',
  'void TFE_DeleteTensorHandle(void *handle)',
  'int TFE_TensorHandleDataType(void *handle)',
  'int TFE_TensorHandleNumDims(void *handle, void *status)',
  'int64_t TFE_TensorHandleDim(void *handle, int index, void *status)',
  'void *TFE_TensorHandleResolve(void *handle, void *status)',
  'const char *TFE_TensorHandleBackingDeviceName(void *handle, void *status)',
  'void *TFE_TensorHandleCopyToDevice(void *handle, void *context, const char *device, void *status)',

  'void *TFE_NewOp(void *context, const char *name, void *status)',
  'void TFE_DeleteOp(void *op)',
  'void TFE_OpSetDevice(void *op, const char *device, void *status)',
  'void TFE_OpAddInput(void *op, void *handle, void *status)',
  'void TFE_OpAddInputList(void *op, const uint64_t *handles, int count, void *status)',
  'void TFE_OpSetAttrString(void *op, const char *name, const void *value, size_t size)',
  'void TFE_OpSetAttrInt(void *op, const char *name, int64_t value)',
  'void TFE_OpSetAttrFloat(void *op, const char *name, float value)',
  'void TFE_OpSetAttrBool(void *op, const char *name, uint8_t value)',
  'void TFE_OpSetAttrType(void *op, const char *name, int value)',
  'void TFE_OpSetAttrShape(void *op, const char *name, const int64_t *dims, int rank, void *status)',
  'void TFE_OpSetAttrStringList(void *op, const char *name, const uint64_t *values, const uint64_t *sizes, int count)',
  'void TFE_OpSetAttrIntList(void *op, const char *name, const int64_t *values, int count)',
  'void TFE_OpSetAttrFloatList(void *op, const char *name, const float *values, int count)',
  'void TFE_OpSetAttrBoolList(void *op, const char *name, const uint8_t *values, int count)',
  'void TFE_OpSetAttrTypeList(void *op, const char *name, const int *values, int count)',
  'void TFE_OpSetAttrShapeList(void *op, const char *name, const uint64_t *dims, const int *ranks, int count, void *status)',
  'void TFE_ContextAddFunction(void *context, void *fn, void *status)',
  'void TFE_ContextRemoveFunction(void *context, const char *name, void *status)',

  'void *TF_GetRegisteredKernelsForOp(const char *op, void *status)',
  'void TFE_ContextEnableGraphCollection(void *context)',
  'void TFE_ContextDisableGraphCollection(void *context)',
  'void TFE_ContextExportRunMetadata(void *context, void *buffer, void *status)',

  'void *TF_NewGraph()',
  'void TF_DeleteGraph(void *graph)',
  'void *TF_NewOperation(void *graph, const char *op, const char *name)',
  'void TF_AddInput(void *description, TF_Output input)',
  'void TF_AddControlInput(void *description, void *operation)',
  'void TF_AddInputList(void *description, const uint64_t *inputs, int count)',
  'void TF_SetAttrString(void *description, const char *name, const void *value, size_t size)',
  'void TF_SetAttrInt(void *description, const char *name, int64_t value)',
  'void TF_SetAttrFloat(void *description, const char *name, float value)',
  'void TF_SetAttrBool(void *description, const char *name, uint8_t value)',
  'void TF_SetAttrType(void *description, const char *name, int value)',
  'void TF_SetAttrShape(void *description, const char *name, const int64_t *dims, int rank)',
  'void TF_SetAttrStringList(void *description, const char *name, const uint64_t *values, const uint64_t *sizes, int count)',
  'void TF_SetAttrIntList(void *description, const char *name, const int64_t *values, int count)',
  'void TF_SetAttrFloatList(void *description, const char *name, const float *values, int count)',
  'void TF_SetAttrBoolList(void *description, const char *name, const uint8_t *values, int count)',
  'void TF_SetAttrTypeList(void *description, const char *name, const int *values, int count)',
  'void TF_SetAttrShapeList(void *description, const char *name, const uint64_t *dims, const int *ranks, int count)',
  'void TF_SetAttrTensor(void *description, const char *name, void *tensor, void *status)',
  'void *TF_FinishOperation(void *description, void *status)',
  'int TF_OperationNumOutputs(void *operation)',
  'int TF_OperationOutputType(TF_Output output)',
  'int TF_GraphGetTensorNumDims(void *graph, TF_Output output, void *status)',
  'void TF_GraphGetTensorShape(void *graph, TF_Output output, int64_t *dims, int rank, void *status)',
  'void TF_GraphSetTensorShape(void *graph, TF_Output output, const int64_t *dims, int rank, void *status)',
  'void TF_GraphGetOpDef(void *graph, const char *op, void *buffer, void *status)',
  'void TF_GraphCopyFunction(void *graph, void *fn, const void *gradient, void *status)',
  'void *TF_NewBuffer()',
  'void TF_DeleteBuffer(void *buffer)',
  'void *TF_GraphToFunctionWithControlOutputs(void *graph, const char *name, uint8_t appendHash, int numOperations, const uint64_t *operations, int numInputs, const uint64_t *inputs, int numOutputs, const uint64_t *outputs, const void *outputNames, int numControls, const uint64_t *controls, const void *controlNames, const void *options, const void *description, void *status)',
  'void TF_DeleteFunction(void *fn)',
  'const char *TF_FunctionName(void *fn)',

  'void TFE_Execute(void *op, uint64_t *outputs, int *numOutputs, void *status)',

  'void TF_SetDevice(void *description, const char *device)',

  'void *TFE_TensorHandleCopySharingTensor(void *handle, void *status)',

  'void *TFE_NewExecutor(bool isAsync, bool streams, int mostInFlight)',
  'void TFE_DeleteExecutor(void *executor)',
  'void TFE_ExecutorWaitForAllPendingNodes(void *executor, void *status)',
  'void TFE_ExecutorClearError(void *executor)',
  'void *TFE_ContextGetExecutorForThread(void *context)',
  'void TFE_ContextSetExecutorForThread(void *context, void *executor)',
  'void *TFE_NewCancellationManager()',
  'void TFE_CancellationManagerStartCancel(void *cancellation)',
  'void TFE_OpSetCancellationManager(void *op, void *cancellation, void *status)',

  'void *TF_NewServer(const void *proto, size_t size, void *status)',
  'void TF_ServerStart(void *server, void *status)',
  'const char *TF_ServerTarget(void *server)',
  'void *TF_NewSessionOptions()',
  'void TF_DeleteSessionOptions(void *options)',
  'void TF_SetTarget(void *options, const char *target)',
  'void *TF_NewSession(void *graph, void *options, void *status)',
  'void *TF_SessionListDevices(void *session, void *status)',
  'void TF_CloseSession(void *session, void *status)',
  'void TF_DeleteSession(void *session, void *status)',
  'void TFE_ContextSetServerDefWithTimeout(void *context, int keepAliveSeconds, const void *proto, size_t size, int64_t milliseconds, void *status, bool clearExisting)',
  'void TFE_ContextUpdateServerDefWithTimeout(void *context, int keepAliveSeconds, const void *proto, size_t size, int64_t milliseconds, void *status)',
  'bool TFE_ContextCheckAlive(void *context, const char *worker, void *status)',
] as const;

/**
 * TensorFlow's profiler, which has no C API: methods of C++ classes, by their names in the Itanium ABI. `this` is the first
 * parameter. `absl::Status` is returned through a hidden pointer, as a struct of more than 16 bytes is.
 *
 * Sources: `tsl/profiler/lib/profiler_session.h`, `tsl/profiler/protobuf/{profiler_options,xplane}.proto` (release 2.21).
 */
export const PROFILER_PROTOTYPES = [
  // tensorflow::ProfileOptions: constructor with an arena, destructor.
  'void _ZN10tensorflow14ProfileOptionsC1EPN6google8protobuf5ArenaE(void *options, const void *arena)',
  'void _ZN10tensorflow14ProfileOptionsD1Ev(void *options)',
  // tensorflow::profiler::XSpace: constructor with an arena, destructor, ByteSizeLong().
  'void _ZN10tensorflow8profiler6XSpaceC1EPN6google8protobuf5ArenaE(void *space, const void *arena)',
  'void _ZN10tensorflow8profiler6XSpaceD1Ev(void *space)',
  'size_t _ZNK10tensorflow8profiler6XSpace12ByteSizeLongEv(void *space)',
  // google::protobuf::MessageLite: ParseFromArray(), SerializeToArray().
  'bool _ZN6google8protobuf11MessageLite14ParseFromArrayEPKvi(void *message, const void *bytes, int size)',
  'bool _ZNK6google8protobuf11MessageLite16SerializeToArrayEPvi(void *message, _Out_ void *bytes, int size)',
  // tsl::ProfilerSession: constructor, which starts it; Status(); CollectDataInternal(), which stops it; destructor.
  'void _ZN3tsl15ProfilerSessionC1ERKN10tensorflow14ProfileOptionsE(void *session, const void *options)',
  'AbslStatus _ZN3tsl15ProfilerSession6StatusEv(void *session)',
  'AbslStatus _ZN3tsl15ProfilerSession19CollectDataInternalEPN10tensorflow8profiler6XSpaceE(void *session, void *space)',
  'void _ZN3tsl15ProfilerSessionD1Ev(void *session)',
  // tsl::profiler::GetCurrentTimeNanos(): since 1970, the clock of its times.
  'int64_t _ZN3tsl8profiler19GetCurrentTimeNanosEv()',
] as const;

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
