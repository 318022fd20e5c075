// Python's PyTorch, where there is one: the tests that need it are skipped with a message where there is none.
import { execFileSync } from "node:child_process";

/** `STOPGRAD_PYTHON` names another one. */
const python = process.env.STOPGRAD_PYTHON ?? "/usr/bin/python3";

/** PyTorch's version in Python, null when it cannot be imported. */
export const pythonTorch: string | null = (() => {
  try {
    return execFileSync(python, ["-c", "import torch, numpy; print(torch.__version__)"], {
      encoding: "utf8",
      stdio: ["ignore", "pipe", "ignore"],
    }).trim();
  } catch {
    console.warn(`skipped: exchanging files with Python, because ${python} cannot import torch and numpy`);
    return null;
  }
})();

/** Runs a Python script; its output, parsed as JSON. */
export function runPython<T>(script: string, ...args: string[]): T {
  return JSON.parse(execFileSync(python, ["-c", script, ...args], { encoding: "utf8" }));
}
