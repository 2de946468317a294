// The part of TensorFlow's C API that the stand-in GPUs use, so that no header of TensorFlow's is needed to build them.
// From tensorflow/c/{tf_tensor,kernels,tf_status}.h, eager/c_api.h and experimental/stream_executor/stream_executor.h.
#pragma once
#include <cstddef>
#include <cstdint>

extern "C" {

using TF_Bool = unsigned char;
enum TF_Code { TF_OK = 0, TF_UNIMPLEMENTED = 12, TF_INTERNAL = 13 };
enum TF_DataType { TF_FLOAT = 1, TF_RESOURCE = 20 };

struct TF_Status;
struct TF_Tensor;
struct TF_KernelBuilder;
struct TF_OpKernelConstruction;
struct TF_OpKernelContext;
struct TFE_Context;
struct TFE_ContextOptions;
struct TFE_Op;
struct TFE_TensorHandle;
struct TF_Buffer {
  const void* data;
  size_t length;
  void (*deallocator)(void*, size_t);
};
struct TF_AllocatorAttributes {
  size_t struct_size;
  TF_Bool on_host;
};

TF_Status* TF_NewStatus();
void TF_DeleteStatus(TF_Status*);
void TF_SetStatus(TF_Status*, TF_Code, const char* message);
TF_Code TF_GetCode(const TF_Status*);
const char* TF_Message(const TF_Status*);
void TF_DeleteBuffer(TF_Buffer*);

TF_Tensor* TF_NewTensor(TF_DataType, const int64_t* dims, int rank, void* data, size_t bytes,
                        void (*deallocator)(void*, size_t, void*), void* argument);
void TF_DeleteTensor(TF_Tensor*);
TF_DataType TF_TensorType(const TF_Tensor*);
int TF_NumDims(const TF_Tensor*);
int64_t TF_Dim(const TF_Tensor*, int index);
size_t TF_TensorByteSize(const TF_Tensor*);
void* TF_TensorData(const TF_Tensor*);

TF_KernelBuilder* TF_NewKernelBuilder(const char* op, const char* device, void* (*create)(TF_OpKernelConstruction*),
                                      void (*compute)(void*, TF_OpKernelContext*), void (*destroy)(void*));
void TF_RegisterKernelBuilderWithKernelDef(const char* kernel_def, const char* name, TF_KernelBuilder*, TF_Status*);
TF_Buffer* TF_OpKernelConstruction_GetNodeDef(TF_OpKernelConstruction*, TF_Status*);
int TF_NumInputs(TF_OpKernelContext*);
int TF_NumOutputs(TF_OpKernelContext*);
void TF_GetInput(TF_OpKernelContext*, int index, TF_Tensor**, TF_Status*);
TF_Bool TF_IsHostMemoryInput(TF_OpKernelContext*, int index, TF_Status*);
TF_Bool TF_IsHostMemoryOutput(TF_OpKernelContext*, int index, TF_Status*);
TF_Tensor* TF_AllocateOutput(TF_OpKernelContext*, int index, TF_DataType, const int64_t* dims, int rank, size_t bytes,
                             TF_Status*);
TF_Tensor* TF_AllocateTemp(TF_OpKernelContext*, TF_DataType, const int64_t* dims, int rank, TF_AllocatorAttributes*,
                           TF_Status*);
void TF_OpKernelContext_Failure(TF_OpKernelContext*, TF_Status*);
int TF_GetDeviceId(TF_OpKernelContext*);

TFE_ContextOptions* TFE_NewContextOptions();
void TFE_DeleteContextOptions(TFE_ContextOptions*);
void TFE_ContextOptionsSetConfig(TFE_ContextOptions*, const void* proto, size_t bytes, TF_Status*);
TFE_Context* TFE_NewContext(const TFE_ContextOptions*, TF_Status*);
TFE_Op* TFE_NewOp(TFE_Context*, const char* op, TF_Status*);
void TFE_DeleteOp(TFE_Op*);
void TFE_OpSetDevice(TFE_Op*, const char* device, TF_Status*);
void TFE_OpAddInput(TFE_Op*, TFE_TensorHandle*, TF_Status*);
void TFE_OpSetAttrValueProto(const TFE_Op*, const char* name, const void* proto, size_t bytes, TF_Status*);
void TFE_Execute(TFE_Op*, TFE_TensorHandle** outputs, int* count, TF_Status*);
TFE_TensorHandle* TFE_NewTensorHandle(const TF_Tensor*, TF_Status*);
void TFE_DeleteTensorHandle(TFE_TensorHandle*);
TF_Tensor* TFE_TensorHandleResolve(TFE_TensorHandle*, TF_Status*);

// ---- a device as a plug-in: what TensorFlow calls. `ext` is for later versions.

using SP_Stream = void*;
using SP_Event = void*;
using SP_Timer = void*;
enum SE_EventStatus { SE_EVENT_UNKNOWN, SE_EVENT_ERROR, SE_EVENT_PENDING, SE_EVENT_COMPLETE };
struct SP_AllocatorStats;

struct SP_DeviceMemoryBase {
  size_t struct_size;
  void* ext;
  void* opaque;  // the address
  uint64_t size;
  uint64_t payload;
};
struct SP_Device {
  size_t struct_size;
  void* ext;
  int32_t ordinal;
  void* device_handle;
  const char* hardware_name;
  const char* device_vendor;
  const char* pci_bus_id;
};
struct SE_CreateDeviceParams {
  size_t struct_size;
  void* ext;
  int32_t ordinal;
  SP_Device* device;
};
struct SP_DeviceFns {
  size_t struct_size;
  void* ext;
  int32_t (*get_numa_node)(const SP_Device*);
  int64_t (*get_memory_bandwidth)(const SP_Device*);
  double (*get_gflops)(const SP_Device*);
};
struct SE_CreateDeviceFnsParams {
  size_t struct_size;
  void* ext;
  SP_DeviceFns* device_fns;
};
struct SP_TimerFns {
  size_t struct_size;
  void* ext;
  uint64_t (*nanoseconds)(SP_Timer);
};

struct SP_StreamExecutor {
  size_t struct_size;
  void* ext;

  void (*allocate)(const SP_Device*, uint64_t bytes, int64_t memory_space, SP_DeviceMemoryBase*);
  void (*deallocate)(const SP_Device*, SP_DeviceMemoryBase*);
  void* (*host_memory_allocate)(const SP_Device*, uint64_t bytes);
  void (*host_memory_deallocate)(const SP_Device*, void*);
  void* (*unified_memory_allocate)(const SP_Device*, uint64_t bytes);
  void (*unified_memory_deallocate)(const SP_Device*, void*);
  TF_Bool (*get_allocator_stats)(const SP_Device*, SP_AllocatorStats*);
  TF_Bool (*device_memory_usage)(const SP_Device*, int64_t* free, int64_t* total);

  void (*create_stream)(const SP_Device*, SP_Stream*, TF_Status*);
  void (*destroy_stream)(const SP_Device*, SP_Stream);
  void (*create_stream_dependency)(const SP_Device*, SP_Stream dependent, SP_Stream other, TF_Status*);
  void (*get_stream_status)(const SP_Device*, SP_Stream, TF_Status*);

  void (*create_event)(const SP_Device*, SP_Event*, TF_Status*);
  void (*destroy_event)(const SP_Device*, SP_Event);
  SE_EventStatus (*get_event_status)(const SP_Device*, SP_Event);
  void (*record_event)(const SP_Device*, SP_Stream, SP_Event, TF_Status*);
  void (*wait_for_event)(const SP_Device*, SP_Stream, SP_Event, TF_Status*);

  void (*create_timer)(const SP_Device*, SP_Timer*, TF_Status*);
  void (*destroy_timer)(const SP_Device*, SP_Timer);
  void (*start_timer)(const SP_Device*, SP_Stream, SP_Timer, TF_Status*);
  void (*stop_timer)(const SP_Device*, SP_Stream, SP_Timer, TF_Status*);

  void (*memcpy_dtoh)(const SP_Device*, SP_Stream, void* to, const SP_DeviceMemoryBase* from, uint64_t, TF_Status*);
  void (*memcpy_htod)(const SP_Device*, SP_Stream, SP_DeviceMemoryBase* to, const void* from, uint64_t, TF_Status*);
  void (*memcpy_dtod)(const SP_Device*, SP_Stream, SP_DeviceMemoryBase* to, const SP_DeviceMemoryBase* from, uint64_t,
                      TF_Status*);
  void (*sync_memcpy_dtoh)(const SP_Device*, void* to, const SP_DeviceMemoryBase* from, uint64_t, TF_Status*);
  void (*sync_memcpy_htod)(const SP_Device*, SP_DeviceMemoryBase* to, const void* from, uint64_t, TF_Status*);
  void (*sync_memcpy_dtod)(const SP_Device*, SP_DeviceMemoryBase* to, const SP_DeviceMemoryBase* from, uint64_t,
                           TF_Status*);
  void (*block_host_for_event)(const SP_Device*, SP_Event, TF_Status*);
  void (*block_host_until_done)(const SP_Device*, SP_Stream, TF_Status*);
  void (*synchronize_all_activity)(const SP_Device*, TF_Status*);

  void (*mem_zero)(const SP_Device*, SP_Stream, SP_DeviceMemoryBase*, uint64_t bytes, TF_Status*);
  void (*memset)(const SP_Device*, SP_Stream, SP_DeviceMemoryBase*, uint8_t pattern, uint64_t bytes, TF_Status*);
  void (*memset32)(const SP_Device*, SP_Stream, SP_DeviceMemoryBase*, uint32_t pattern, uint64_t bytes, TF_Status*);
  TF_Bool (*host_callback)(const SP_Device*, SP_Stream, void (*callback)(void*, TF_Status*), void* argument);
};
struct SE_CreateStreamExecutorParams {
  size_t struct_size;
  void* ext;
  SP_StreamExecutor* stream_executor;
};

struct SP_Platform {
  size_t struct_size;
  void* ext;
  const char* name;
  const char* type;
  TF_Bool supports_unified_memory;
  TF_Bool use_bfc_allocator;
  TF_Bool force_memory_growth;
};
struct SP_PlatformFns {
  size_t struct_size;
  void* ext;
  void (*get_device_count)(const SP_Platform*, int*, TF_Status*);
  void (*create_device)(const SP_Platform*, SE_CreateDeviceParams*, TF_Status*);
  void (*destroy_device)(const SP_Platform*, SP_Device*);
  void (*create_device_fns)(const SP_Platform*, SE_CreateDeviceFnsParams*, TF_Status*);
  void (*destroy_device_fns)(const SP_Platform*, SP_DeviceFns*);
  void (*create_stream_executor)(const SP_Platform*, SE_CreateStreamExecutorParams*, TF_Status*);
  void (*destroy_stream_executor)(const SP_Platform*, SP_StreamExecutor*);
  void (*create_timer_fns)(const SP_Platform*, SP_TimerFns*, TF_Status*);
  void (*destroy_timer_fns)(const SP_Platform*, SP_TimerFns*);
};
struct SE_PlatformRegistrationParams {
  size_t struct_size;
  void* ext;
  int32_t major_version;
  int32_t minor_version;
  int32_t patch_version;
  SP_Platform* platform;
  SP_PlatformFns* platform_fns;
  void (*destroy_platform)(SP_Platform*);
  void (*destroy_platform_fns)(SP_PlatformFns*);
};

}  // extern "C"
