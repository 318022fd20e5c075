// Small helpers of the other loops, on the functions on vectors that kernels.cc defines for an instruction set.

/** to[i] += value[i] for the first `left` lanes. */
inline void addTo(double* to, int64_t left, Vector value) {
  float lanes[kLanes];
  store(lanes, value);
  const int64_t count = left < kLanes ? left : kLanes;
  for (int64_t i = 0; i < count; i++) to[i] += lanes[i];
}

inline float loadOne(const float* from) { return *from; }
inline float loadOne(const uint16_t* from) {
  const uint32_t bits = static_cast<uint32_t>(*from) << 16;
  float value;
  __builtin_memcpy(&value, &bits, sizeof value);
  return value;
}
inline void storeOne(float* to, float value) { *to = value; }
inline void storeOne(uint16_t* to, float value) { store(to, 1, broadcast(&value)); }
