// The optimizers' ops, which change variables. In this build TensorFlow's C API lets no plug-in reach a variable, so
// its C++ functions are called, declared here as they are in TensorFlow 2.21: another version either lacks them, and
// then the library cannot be loaded, or has another layout, which `valuesOf` finds.
#include <atomic>
#include <cstring>
#include <vector>

#include "kernels.h"
#include "memory.h"
#include "report.h"

namespace absl {
inline namespace lts_20250814 {
class Status {
 public:
  ~Status() {}  // so that it is returned in memory, as TensorFlow's is
  bool ok() const { return value_ == 1; }

 private:
  uintptr_t value_ = 1;
};
class Mutex {
 public:
  void lock();
  void unlock();

 private:
  std::atomic<intptr_t> state_;
};
}  // namespace lts_20250814
}  // namespace absl

namespace tensorflow {
class OpKernelContext;  // TF_OpKernelContext is another name for it
class ResourceHandle;
class Tensor {
 public:
  bool RefCountIsOne() const;

 private:
  uint64_t fields_[4];
};
struct Var {
  void* functions;
  std::atomic<int64_t> references;
  void* weak_references;
  bool is_initialized;
  absl::Mutex mutex;
  Tensor tensor;
};

const ResourceHandle& HandleFromInput(OpKernelContext*, int index);
template <typename T, bool use_dynamic_cast>
absl::Status LookupResource(OpKernelContext*, const ResourceHandle&, T** found);
TF_Tensor* TF_TensorFromTensor(const Tensor&, absl::Status*);  // both share the memory
absl::Status TF_TensorToTensor(const TF_Tensor*, Tensor*);
}  // namespace tensorflow

namespace {

using tensorflow::Var;

/** The values of a tensor in this kernel's GPU. */
float* valuesOf(TF_OpKernelContext* ctx, const TF_Tensor* tensor) {
  const void* data = TF_TensorData(tensor);
  if (TF_TensorType(tensor) != TF_FLOAT || !isOnDevice(data) || ordinalOf(data) != TF_GetDeviceId(ctx)) {
    refuse("an optimizer was given what is no float32 of its GPU,", data, nullptr);
  }
  return static_cast<float*>(memoryAt(data));
}

/** A variable among the inputs, held and locked. */
class Variable {
 public:
  Variable(TF_OpKernelContext* ctx, int index) : ctx_(ctx) {
    auto* context = reinterpret_cast<tensorflow::OpKernelContext*>(ctx);
    const tensorflow::ResourceHandle& handle = tensorflow::HandleFromInput(context, index);
    if (!tensorflow::LookupResource<Var, false>(context, handle, &var_).ok()) refuse("no variable", nullptr, nullptr);
    var_->mutex.lock();
  }
  ~Variable() {
    if (tensor_) TF_DeleteTensor(tensor_);
    var_->mutex.unlock();
    var_->references--;  // whoever made it holds it too
  }
  Variable(const Variable&) = delete;

  /** Its values, to be changed. As in TensorFlow's PrepareToUpdateVariable, who has read them keeps them as they were.
   */
  float* values() {
    const bool isShared = !var_->tensor.RefCountIsOne();
    absl::Status status;
    tensor_ = tensorflow::TF_TensorFromTensor(var_->tensor, &status);
    if (isShared) moveToOwnMemory();
    return valuesOf(ctx_, tensor_);
  }

  int64_t size() const { return TF_TensorByteSize(tensor_) / sizeof(float); }

 private:
  void moveToOwnMemory() {
    std::vector<int64_t> shape;
    for (int i = 0; i < TF_NumDims(tensor_); i++) shape.push_back(TF_Dim(tensor_, i));
    TF_AllocatorAttributes onDevice = {sizeof onDevice, false};
    TF_Status* status = TF_NewStatus();
    TF_Tensor* copy = TF_AllocateTemp(ctx_, TF_FLOAT, shape.data(), static_cast<int>(shape.size()), &onDevice, status);
    if (TF_GetCode(status) != TF_OK) refuse(TF_Message(status), nullptr, nullptr);
    TF_DeleteStatus(status);
    std::memcpy(valuesOf(ctx_, copy), valuesOf(ctx_, tensor_), TF_TensorByteSize(copy));
    TF_DeleteTensor(tensor_);
    tensor_ = copy;
    tensorflow::TF_TensorToTensor(copy, &var_->tensor);
  }

  TF_OpKernelContext* ctx_;
  Var* var_ = nullptr;
  TF_Tensor* tensor_ = nullptr;
};

/** An input that is a tensor. */
class Input {
 public:
  Input(TF_OpKernelContext* ctx, int index) {
    TF_Status* status = TF_NewStatus();
    TF_GetInput(ctx, index, &tensor_, status);
    if (TF_GetCode(status) != TF_OK) refuse(TF_Message(status), nullptr, nullptr);
    TF_DeleteStatus(status);
    values = valuesOf(ctx, tensor_);
  }
  ~Input() { TF_DeleteTensor(tensor_); }
  Input(const Input&) = delete;

  const float* values;

 private:
  TF_Tensor* tensor_ = nullptr;
};

void gradientDescent(void*, TF_OpKernelContext* ctx) {
  noteOp(TF_GetDeviceId(ctx), "ResourceApplyGradientDescent");
  Variable variable(ctx, 0);
  const Input rate(ctx, 1), slope(ctx, 2);
  float* w = variable.values();
  for (int64_t i = 0; i < variable.size(); i++) w[i] -= slope.values[i] * *rate.values;
}

/** With use_nesterov false, as the product has it. */
void kerasMomentum(void*, TF_OpKernelContext* ctx) {
  noteOp(TF_GetDeviceId(ctx), "ResourceApplyKerasMomentum");
  Variable variable(ctx, 0), velocity(ctx, 1);
  const Input rate(ctx, 2), slope(ctx, 3), momentum(ctx, 4);
  float* w = variable.values();
  float* v = velocity.values();
  for (int64_t i = 0; i < variable.size(); i++) {
    v[i] = v[i] * *momentum.values - slope.values[i] * *rate.values;
    w[i] += v[i];
  }
}

}  // namespace

const KernelFunctions* optimizerOf(const std::string& op) {
  static const auto create = [](TF_OpKernelConstruction*) -> void* { return nullptr; };
  static const auto destroy = [](void*) {};
  static const KernelFunctions kDescent = {create, gradientDescent, destroy};
  static const KernelFunctions kMomentum = {create, kerasMomentum, destroy};
  if (op == "ResourceApplyGradientDescent") return &kDescent;
  return op == "ResourceApplyKerasMomentum" ? &kMomentum : nullptr;
}
