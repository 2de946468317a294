// Two GPUs that are none: a pluggable device of TensorFlow's, of the type GPU, for its build for CPUs. FAKE_GPUS is how
// many there are (2), FAKE_GPU_MIB how much memory each has (4096).
#include <cstdlib>
#include <cstring>

#include "memory.h"
#include "report.h"
#include "tensorflow.h"

namespace {

int64_t setting(const char* name, int64_t otherwise) {
  const char* set = std::getenv(name);
  return set ? std::atoll(set) : otherwise;
}

void allocate(const SP_Device* device, uint64_t bytes, int64_t, SP_DeviceMemoryBase* memory) {
  void* found = std::aligned_alloc(256, (bytes + 255) / 256 * 256);
  if (found) std::memset(found, 0xff, bytes);  // NaN, so that what was not written is seen
  memory->struct_size = sizeof *memory;
  memory->opaque = found ? onDevice(found, device->ordinal) : nullptr;
  memory->size = found ? bytes : 0;
}

void deallocate(const SP_Device*, SP_DeviceMemoryBase* memory) {
  std::free(memoryAt(memory->opaque));
  memory->opaque = nullptr;
  memory->size = 0;
}

void toHost(const SP_Device*, void* to, const SP_DeviceMemoryBase* from, uint64_t bytes, TF_Status*) {
  if (isOnDevice(to) || !isOnDevice(from->opaque)) refuse("a copy to the host", from->opaque, to);
  std::memcpy(to, memoryAt(from->opaque), bytes);
  noteCopy(kToHost, bytes);
}

void toDevice(const SP_Device*, SP_DeviceMemoryBase* to, const void* from, uint64_t bytes, TF_Status*) {
  if (isOnDevice(from) || !isOnDevice(to->opaque)) refuse("a copy to a GPU", from, to->opaque);
  std::memcpy(memoryAt(to->opaque), from, bytes);
  noteCopy(kToDevice, bytes);
}

void amongDevices(const SP_Device*, SP_DeviceMemoryBase* to, const SP_DeviceMemoryBase* from, uint64_t bytes,
                  TF_Status*) {
  if (!isOnDevice(from->opaque) || !isOnDevice(to->opaque)) refuse("a copy among GPUs", from->opaque, to->opaque);
  std::memmove(memoryAt(to->opaque), memoryAt(from->opaque), bytes);
  noteCopy(kAmongDevices, bytes);
}

/** Whatever is asked for is done before the call returns, so streams and events hold nothing. */
void createExecutor(const SP_Platform*, SE_CreateStreamExecutorParams* params, TF_Status*) {
  SP_StreamExecutor* e = params->stream_executor;
  const auto nothing = [](auto...) {};
  const auto create = [](const SP_Device*, void** made, auto...) { *made = std::malloc(1); };
  const auto destroy = [](const SP_Device*, void* made) { std::free(made); };
  e->struct_size = sizeof *e;

  e->allocate = allocate;
  e->deallocate = deallocate;
  e->host_memory_allocate = [](const SP_Device*, uint64_t bytes) {
    return std::aligned_alloc(64, (bytes + 63) / 64 * 64);
  };
  e->host_memory_deallocate = destroy;
  e->get_allocator_stats = [](const SP_Device*, SP_AllocatorStats*) -> TF_Bool { return false; };
  e->device_memory_usage = [](const SP_Device*, int64_t* free, int64_t* total) -> TF_Bool {
    *free = *total = setting("FAKE_GPU_MIB", 4096) << 20;
    return true;
  };

  e->create_stream = create;
  e->destroy_stream = destroy;
  e->create_stream_dependency = nothing;
  e->get_stream_status = nothing;
  e->create_event = create;
  e->destroy_event = destroy;
  e->get_event_status = [](const SP_Device*, SP_Event) { return SE_EVENT_COMPLETE; };
  e->record_event = nothing;
  e->wait_for_event = nothing;
  e->create_timer = create;
  e->destroy_timer = destroy;
  e->start_timer = nothing;
  e->stop_timer = nothing;

  e->memcpy_dtoh = [](const SP_Device* device, SP_Stream, auto... rest) { toHost(device, rest...); };
  e->memcpy_htod = [](const SP_Device* device, SP_Stream, auto... rest) { toDevice(device, rest...); };
  e->memcpy_dtod = [](const SP_Device* device, SP_Stream, auto... rest) { amongDevices(device, rest...); };
  e->sync_memcpy_dtoh = toHost;
  e->sync_memcpy_htod = toDevice;
  e->sync_memcpy_dtod = amongDevices;
  e->block_host_for_event = nothing;
  e->block_host_until_done = nothing;
  e->synchronize_all_activity = nothing;
  e->mem_zero = [](const SP_Device*, SP_Stream, SP_DeviceMemoryBase* at, uint64_t bytes, TF_Status*) {
    std::memset(memoryAt(at->opaque), 0, bytes);
  };
  e->memset = [](const SP_Device*, SP_Stream, SP_DeviceMemoryBase* at, uint8_t pattern, uint64_t bytes, TF_Status*) {
    std::memset(memoryAt(at->opaque), pattern, bytes);
  };
  e->memset32 = [](const SP_Device*, SP_Stream, SP_DeviceMemoryBase* at, uint32_t pattern, uint64_t bytes, TF_Status*) {
    auto* words = static_cast<uint32_t*>(memoryAt(at->opaque));
    for (uint64_t i = 0; i < bytes / sizeof pattern; i++) words[i] = pattern;
  };
  e->host_callback = [](const SP_Device*, SP_Stream, void (*callback)(void*, TF_Status*), void* argument) -> TF_Bool {
    TF_Status* status = TF_NewStatus();
    callback(argument, status);
    TF_DeleteStatus(status);
    return true;
  };
}

void createDevice(const SP_Platform*, SE_CreateDeviceParams* params, TF_Status*) {
  SP_Device* device = params->device;
  device->struct_size = sizeof *device;
  device->ordinal = params->ordinal;
  device->hardware_name = "none";
  device->device_vendor = "nobody";
  device->pci_bus_id = params->ordinal == 0 ? "0000:00:01.0" : "0000:00:02.0";
}

}  // namespace

extern "C" void SE_InitPlugin(SE_PlatformRegistrationParams* params, TF_Status*) {
  const auto nothing = [](auto...) {};
  SP_Platform* platform = params->platform;
  platform->struct_size = sizeof *platform;
  platform->name = "FAKE_GPU";
  platform->type = "GPU";
  platform->use_bfc_allocator = true;
  platform->force_memory_growth = true;

  SP_PlatformFns* fns = params->platform_fns;
  fns->struct_size = sizeof *fns;
  fns->get_device_count = [](const SP_Platform*, int* count, TF_Status*) {
    const int64_t wanted = setting("FAKE_GPUS", kDevices);
    *count = wanted < kDevices ? static_cast<int>(wanted) : kDevices;
  };
  fns->create_device = createDevice;
  fns->destroy_device = nothing;
  fns->create_device_fns = [](const SP_Platform*, SE_CreateDeviceFnsParams* made, TF_Status*) {
    made->device_fns->struct_size = sizeof *made->device_fns;
  };
  fns->destroy_device_fns = nothing;
  fns->create_stream_executor = createExecutor;
  fns->destroy_stream_executor = nothing;
  fns->create_timer_fns = [](const SP_Platform*, SP_TimerFns* made, TF_Status*) {
    made->struct_size = sizeof *made;
    made->nanoseconds = [](SP_Timer) -> uint64_t { return 1; };
  };
  fns->destroy_timer_fns = nothing;
  params->destroy_platform = nothing;
  params->destroy_platform_fns = nothing;
}
