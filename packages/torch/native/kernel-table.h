// The table of the loops included before it, for one instruction set.

inline Kernels table(const char* name, int rows) {
  return {name,
          rows,
          kLanes,
          product,
          correlation,
          poolRows,
          poolRowsBackward,
          mapKernels<float>(),
          mapKernels<uint16_t>(),
          gramKernels<float>(),
          gramKernels<double>()};
}
