import { defineConfig } from "vitest/config";

export default defineConfig({
  test: {
    include: ["packages/*/test/**/*.test.ts"],
    pool: "forks",
    maxWorkers: 2,
    testTimeout: 60_000,
    // Two test files run side by side: one thread each, or they fight for the processors.
    env: { OMP_NUM_THREADS: "1", OPENBLAS_NUM_THREADS: "1" },
  },
});
