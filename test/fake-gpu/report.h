// What the stand-in GPUs did: copies by their direction and size, and ops by their name.
#pragma once
#include <cstdint>

enum Direction { kToDevice, kToHost, kAmongDevices, kDirections };

void noteCopy(Direction direction, uint64_t bytes);
void noteOp(int ordinal, const char* op);
