// The kernels of the stand-in GPUs: those that the file FAKE_GPU_KERNELS lists, and no others. Each runs the CPU's
// kernel of its op, in a context of its own, over the memory behind the addresses, and checks that every input and
// output lies where TensorFlow's GPU build has it.
#include "kernels.h"

#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <memory>
#include <sstream>
#include <vector>

#include "memory.h"
#include "report.h"

namespace {

using Status = std::unique_ptr<TF_Status, decltype(&TF_DeleteStatus)>;
using Tensor = std::unique_ptr<TF_Tensor, decltype(&TF_DeleteTensor)>;
using Handle = std::unique_ptr<TFE_TensorHandle, decltype(&TFE_DeleteTensorHandle)>;

Status newStatus() { return Status(TF_NewStatus(), TF_DeleteStatus); }
bool isOk(const Status& status) { return TF_GetCode(status.get()) == TF_OK; }

/** A message of protobuf's, read field by field: only fields with a length, which are all that there are here. */
class Message {
 public:
  Message(const void* data, size_t length) : at_(static_cast<const uint8_t*>(data)), end_(at_ + length) {}
  explicit Message(const std::string& bytes) : Message(bytes.data(), bytes.size()) {}

  bool next(uint64_t* field, std::string* value) {
    if (at_ >= end_) return false;
    *field = varint() >> 3;
    const uint64_t length = varint();
    value->assign(reinterpret_cast<const char*>(at_), length);
    at_ += length;
    return true;
  }

 private:
  uint64_t varint() {
    uint64_t value = 0;
    for (int shift = 0;; shift += 7) {
      const uint8_t byte = *at_++;
      value |= static_cast<uint64_t>(byte & 0x7f) << shift;
      if (byte < 0x80) return value;
    }
  }

  const uint8_t* at_;
  const uint8_t* end_;
};

struct Kernel {
  std::string op;
  std::vector<std::pair<std::string, std::string>> attrs;  // name and AttrValue
};

/** From the NodeDef: op (2) and attr (5), a map of key (1) and value (2). */
void* create(TF_OpKernelConstruction* construction) {
  const Status status = newStatus();
  TF_Buffer* node = TF_OpKernelConstruction_GetNodeDef(construction, status.get());
  auto* kernel = new Kernel;
  Message fields(node->data, node->length);
  uint64_t field;
  std::string value;
  while (fields.next(&field, &value)) {
    if (field == 2) kernel->op = value;
    if (field != 5) continue;
    Message entry(value);
    std::string name, attr, part;
    while (entry.next(&field, &part)) (field == 1 ? name : attr) = part;
    if (name[0] != '_') kernel->attrs.emplace_back(name, attr);
  }
  TF_DeleteBuffer(node);
  return kernel;
}

void destroy(void* kernel) { delete static_cast<Kernel*>(kernel); }

/** The CPU's context. Its thread pool is another one than the process's. */
TFE_Context* host() {
  static TFE_Context* only = [] {
    const Status status = newStatus();
    TFE_ContextOptions* options = TFE_NewContextOptions();
    // ConfigProto: device_count { GPU: 0, CPU: 1 }
    const char config[] =
        "\x0a\x07\x0a\x03GPU\x10\x00\x0a\x07\x0a\x03"
        "CPU\x10\x01";
    TFE_ContextOptionsSetConfig(options, config, sizeof config - 1, status.get());
    TFE_Context* made = TFE_NewContext(options, status.get());
    TFE_DeleteContextOptions(options);
    if (isOk(status)) return made;
    std::fprintf(stderr, "fake GPU: there is no context for the CPU: %s\n", TF_Message(status.get()));
    std::abort();
  }();
  return only;
}

std::vector<int64_t> shapeOf(const Tensor& tensor) {
  std::vector<int64_t> shape;
  for (int i = 0; i < TF_NumDims(tensor.get()); i++) shape.push_back(TF_Dim(tensor.get(), i));
  return shape;
}

/** Sets an error when memory that a kernel is given lies elsewhere than its definition says. */
void checkPlace(TF_OpKernelContext* ctx, const Kernel& kernel, const char* what, int index, const Tensor& tensor,
                bool isForHost, const Status& status) {
  const void* data = TF_TensorData(tensor.get());
  if (TF_TensorByteSize(tensor.get()) == 0) return;
  const int ordinal = TF_GetDeviceId(ctx);
  if (isForHost ? !isOnDevice(data) : isOnDevice(data) && ordinalOf(data) == ordinal) return;
  const std::string text = std::string("fake GPU: ") + what + " " + std::to_string(index) + " of " + kernel.op +
                           " on GPU " + std::to_string(ordinal) + " is in memory of " +
                           (isOnDevice(data) ? "GPU " + std::to_string(ordinalOf(data)) : "the host") +
                           ", expected in " + (isForHost ? "the host's" : "that GPU's");
  TF_SetStatus(status.get(), TF_INTERNAL, text.c_str());
}

/** An input as a tensor of the host's context, over the same memory. */
Handle inputOf(TF_OpKernelContext* ctx, const Kernel& kernel, int index, const Status& status) {
  static char nothing[64];
  Handle handle(nullptr, TFE_DeleteTensorHandle);
  TF_Tensor* found = nullptr;
  TF_GetInput(ctx, index, &found, status.get());
  if (!isOk(status)) return handle;
  const Tensor given(found, TF_DeleteTensor);
  checkPlace(ctx, kernel, "input", index, given, TF_IsHostMemoryInput(ctx, index, newStatus().get()), status);
  if (!isOk(status)) return handle;
  const std::vector<int64_t> shape = shapeOf(given);
  const size_t bytes = TF_TensorByteSize(given.get());
  void* data = bytes > 0 ? memoryAt(TF_TensorData(given.get())) : nothing;
  // TensorFlow does not reuse memory that it does not own, so the op cannot write its result over its input.
  const auto keep = [](void*, size_t, void*) {};
  const Tensor seen(TF_NewTensor(TF_TensorType(given.get()), shape.data(), static_cast<int>(shape.size()), data, bytes,
                                 keep, nullptr),
                    TF_DeleteTensor);
  handle.reset(TFE_NewTensorHandle(seen.get(), status.get()));
  return handle;
}

void giveOutput(TF_OpKernelContext* ctx, const Kernel& kernel, int index, TFE_TensorHandle* result,
                const Status& status) {
  const Tensor value(TFE_TensorHandleResolve(result, status.get()), TF_DeleteTensor);
  if (!isOk(status)) return;
  const std::vector<int64_t> shape = shapeOf(value);
  const size_t bytes = TF_TensorByteSize(value.get());
  const Tensor output(TF_AllocateOutput(ctx, index, TF_TensorType(value.get()), shape.data(),
                                        static_cast<int>(shape.size()), bytes, status.get()),
                      TF_DeleteTensor);
  if (!isOk(status)) return;
  checkPlace(ctx, kernel, "output", index, output, TF_IsHostMemoryOutput(ctx, index, newStatus().get()), status);
  if (isOk(status)) std::memcpy(memoryAt(TF_TensorData(output.get())), TF_TensorData(value.get()), bytes);
}

void run(TF_OpKernelContext* ctx, const Kernel& kernel, const Status& status) {
  std::vector<Handle> inputs;
  for (int i = 0; i < TF_NumInputs(ctx); i++) {
    inputs.push_back(inputOf(ctx, kernel, i, status));
    if (!isOk(status)) return;
  }
  const std::unique_ptr<TFE_Op, decltype(&TFE_DeleteOp)> op(TFE_NewOp(host(), kernel.op.c_str(), status.get()),
                                                            TFE_DeleteOp);
  if (!isOk(status)) return;
  TFE_OpSetDevice(op.get(), "/job:localhost/replica:0/task:0/device:CPU:0", status.get());
  for (const Handle& input : inputs) {
    if (isOk(status)) TFE_OpAddInput(op.get(), input.get(), status.get());
  }
  for (const auto& [name, value] : kernel.attrs) {
    if (isOk(status)) TFE_OpSetAttrValueProto(op.get(), name.c_str(), value.data(), value.size(), status.get());
  }
  if (!isOk(status)) return;
  int count = TF_NumOutputs(ctx);
  std::vector<TFE_TensorHandle*> results(count + 1);
  TFE_Execute(op.get(), results.data(), &count, status.get());
  if (!isOk(status)) return;
  for (int i = 0; i < count; i++) {
    const Handle result(results[i], TFE_DeleteTensorHandle);
    if (isOk(status)) giveOutput(ctx, kernel, i, result.get(), status);
  }
}

void compute(void* state, TF_OpKernelContext* ctx) {
  const auto& kernel = *static_cast<Kernel*>(state);
  noteOp(TF_GetDeviceId(ctx), kernel.op.c_str());
  const Status status = newStatus();
  run(ctx, kernel, status);
  if (!isOk(status)) TF_OpKernelContext_Failure(ctx, status.get());
}

/** The number of a type in tensorflow/core/framework/types.proto. */
int typeNamed(const std::string& name) {
  static const std::pair<const char*, int> kTypes[] = {
      {"float", 1},     {"double", 2},       {"int32", 3},          {"uint8", 4}, {"int16", 5},
      {"int8", 6},      {"complex64", 8},    {"int64", 9},          {"bool", 10}, {"qint8", 11},
      {"bfloat16", 14}, {"uint16", 17},      {"complex128", 18},    {"half", 19}, {"uint32", 22},
      {"uint64", 23},   {"float8_e5m2", 24}, {"float8_e4m3fn", 25}, {"int4", 29}, {"uint4", 30},
  };
  for (const auto& [known, type] : kTypes) {
    if (name == known) return type;
  }
  std::fprintf(stderr, "fake GPU: %s is no type\n", name.c_str());
  std::abort();
}

std::vector<std::string> split(const std::string& text, char separator) {
  std::vector<std::string> parts;
  std::istringstream stream(text);
  for (std::string part; std::getline(stream, part, separator);) parts.push_back(part);
  return parts;
}

/** A field with a length of a message of protobuf's. */
std::string fieldOf(int number, const std::string& content) {
  std::string bytes(1, static_cast<char>(number << 3 | 2));
  size_t length = content.size();
  for (; length >= 0x80; length >>= 7) bytes += static_cast<char>((length & 0x7f) | 0x80);
  return bytes + static_cast<char>(length) + content;
}

/**
 * A line of the list as a KernelDef: op (1), device_type (2), constraint (3) with name (1) and allowed_values (2) .
 * list (1) . type (6), host_memory_arg (4). TensorFlow takes it as a C string, so there can be no zero in it, and there
 * is none.
 */
std::string kernelDef(const std::vector<std::string>& words) {
  std::string def = fieldOf(1, words[0]) + fieldOf(2, "GPU");
  for (size_t i = 1; i < words.size(); i++) {
    if (words[i][0] == '@') {
      for (const std::string& argument : split(words[i].substr(1), ',')) def += fieldOf(4, argument);
      continue;
    }
    const std::vector<std::string> sides = split(words[i], '=');
    std::string types;
    for (const std::string& name : split(sides[1], ',')) types += static_cast<char>(typeNamed(name));
    def += fieldOf(3, fieldOf(1, sides[0]) + fieldOf(2, fieldOf(1, fieldOf(6, types))));
  }
  return def;
}

}  // namespace

extern "C" void TF_InitKernel() {
  std::ifstream file(std::getenv("FAKE_GPU_KERNELS"));
  int number = 0;
  for (std::string line; std::getline(file, line);) {
    if (line[0] == '#') continue;
    const std::vector<std::string> words = split(line, ' ');
    const std::string& op = words[0];
    static const KernelFunctions kOnHost = {create, compute, destroy};
    const KernelFunctions* special = optimizerOf(op);
    const KernelFunctions& fns = special ? *special : kOnHost;
    const Status status = newStatus();
    TF_KernelBuilder* builder = TF_NewKernelBuilder(op.c_str(), "GPU", fns.create, fns.compute, fns.destroy);
    const std::string name = op + std::to_string(number++);
    TF_RegisterKernelBuilderWithKernelDef(kernelDef(words).c_str(), name.c_str(), builder, status.get());
    if (!isOk(status)) std::fprintf(stderr, "fake GPU: %s: %s\n", line.c_str(), TF_Message(status.get()));
  }
}
