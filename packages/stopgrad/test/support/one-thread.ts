// One thread for libtorch and its BLAS: tests run side by side, and on small arrays threads mostly wait for each other.
// libtorch is loaded at its first use, so that an import of this file is early enough.
process.env.OMP_NUM_THREADS = "1";
process.env.OPENBLAS_NUM_THREADS = "1";
