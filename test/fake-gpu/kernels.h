// A kernel's functions: what TensorFlow calls of one.
#pragma once
#include <string>

#include "tensorflow.h"

struct KernelFunctions {
  void* (*create)(TF_OpKernelConstruction*);
  void (*compute)(void* kernel, TF_OpKernelContext*);
  void (*destroy)(void* kernel);
};

/** The functions of an optimizer's op, which changes variables; null for every other op. */
const KernelFunctions* optimizerOf(const std::string& op);
