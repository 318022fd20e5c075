// Where set-up looks for CUDA's headers, and that it takes those of libtorch's own CUDA: against folders made for the test,
// of a CUDA that nobody has.
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, it, onTestFinished, vi } from "vitest";

const { findCudaHeaders, standardOf } = await import(new URL("../../../scripts/lib/cuda.mjs", import.meta.url).href);

function folder(): string {
  const path = mkdtempSync(join(tmpdir(), "stopgrad-cuda-headers-"));
  onTestFinished(() => {
    rmSync(path, { recursive: true, force: true });
    vi.unstubAllEnvs();
  });
  return path;
}

function put(path: string, content: string): void {
  mkdirSync(join(path, ".."), { recursive: true });
  writeFileSync(path, content);
}

/** A libtorch whose libc10_cuda needs the runtime of CUDA 77. */
function libtorchIn(base: string, runtime = "libcudart.so.77") {
  const prefix = join(base, "torch");
  put(join(prefix, "lib", "libc10_cuda.so"), `\0${runtime}\0libstdc++.so.6\0`);
  return {
    version: "9.9.9",
    prefix,
    includeDirs: [join(prefix, "include")],
    libDirs: [join(prefix, "lib")],
    cuda: true,
  };
}

function putHeaders(include: string, version: number): void {
  for (const name of ["cuda.h", "crt/host_defines.h"]) put(join(include, name), "");
  put(join(include, "cuda_runtime_api.h"), `#define CUDART_VERSION  ${version * 1000}\n`);
}

it.each(["libcudart.so.77", "libcudart-1a2b3c4d.so.77.0"])(
  "headers are those of libtorch's own CUDA: %s",
  (runtime) => {
    const base = folder();
    const libtorch = libtorchIn(base, runtime);
    putHeaders(join(base, "home", "include"), 76);
    putHeaders(join(base, "nvidia", "cu77", "include"), 77);
    vi.stubEnv("CUDA_HOME", join(base, "home"));
    expect(findCudaHeaders(libtorch)).toEqual({ include: join(base, "nvidia", "cu77", "include"), version: 77 });
    putHeaders(join(base, "home", "include"), 77);
    expect(findCudaHeaders(libtorch)).toEqual({ include: join(base, "home", "include"), version: 77 });
  },
);

it("headers that lack some are passed over, and what is missing is said", () => {
  const base = folder();
  const libtorch = libtorchIn(base);
  put(join(base, "nvidia", "cuda_runtime", "include", "cuda_runtime_api.h"), "#define CUDART_VERSION 77000\n");
  putHeaders(join(base, "home", "include"), 76);
  vi.stubEnv("CUDA_HOME", join(base, "home"));
  const { reason, include } = findCudaHeaders(libtorch);
  expect(include).toBeUndefined();
  expect(reason).toContain("libtorch 9.9.9 has CUDA, but the headers of CUDA 77 were not found (only CUDA 76 in ");
  expect(reason).toContain("or set CUDA_HOME to the folder that holds include/cuda_runtime_api.h");
});

it.each([
  ["C++14", 17],
  ["C++17", 17],
  ["C++20", 20],
])("libtorch that asks for %s is compiled as C++%i", (asked, expected) => {
  const libtorch = libtorchIn(folder());
  const check = `#if !defined(_MSC_VER)\n#error ${asked} or later compatible compiler is required to use ATen.\n#endif\n`;
  put(join(libtorch.includeDirs[0]!, "ATen", "ATen.h"), check);
  expect(standardOf(libtorch)).toBe(expected);
});
