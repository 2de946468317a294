/** The C prototypes of what `signatures.ts` has, from the same headers. */
import type { TensorFlowC } from './signatures.js';

/** One a function of {@link TensorFlowC}. */
export const PROTOTYPES: Record<keyof TensorFlowC, string> = {
  TF_Version: 'const char *TF_Version()',
  TF_NewStatus: 'void *TF_NewStatus()',
  TF_DeleteStatus: 'void TF_DeleteStatus(void *status)',
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

  TF_GetRegisteredKernelsForOp: 'void *TF_GetRegisteredKernelsForOp(const char *op, void *status)',
  TFE_ContextEnableGraphCollection: 'void TFE_ContextEnableGraphCollection(void *context)',
  TFE_ContextDisableGraphCollection: 'void TFE_ContextDisableGraphCollection(void *context)',
  TFE_ContextExportRunMetadata: 'void TFE_ContextExportRunMetadata(void *context, void *buffer, void *status)',

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

  TF_SetDevice: 'void TF_SetDevice(void *description, const char *device)',

  TFE_NewExecutor: 'void *TFE_NewExecutor(bool isAsync, bool streams, int mostInFlight)',
  TFE_DeleteExecutor: 'void TFE_DeleteExecutor(void *executor)',
  TFE_ExecutorWaitForAllPendingNodes: 'void TFE_ExecutorWaitForAllPendingNodes(void *executor, void *status)',
  TFE_ExecutorClearError: 'void TFE_ExecutorClearError(void *executor)',
  TFE_ContextGetExecutorForThread: 'void *TFE_ContextGetExecutorForThread(void *context)',
  TFE_ContextSetExecutorForThread: 'void TFE_ContextSetExecutorForThread(void *context, void *executor)',
  TFE_NewCancellationManager: 'void *TFE_NewCancellationManager()',
  TFE_CancellationManagerStartCancel: 'void TFE_CancellationManagerStartCancel(void *cancellation)',
  TFE_OpSetCancellationManager: 'void TFE_OpSetCancellationManager(void *op, void *cancellation, void *status)',
};
