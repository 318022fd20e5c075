// A Python that imports torch: `STOPGRAD_PYTHON`, else `python3`, else `/usr/bin/python3`, which has Debian's packages
// when `python3` is another.

import { execFileSync } from "node:child_process";

export const HOW_TO_GET_PYTORCH = "sudo apt-get install python3-torch";

/** @returns {string | null} the command, or null when no interpreter imports torch */
export function findPython() {
  const chosen = process.env.STOPGRAD_PYTHON;
  if (chosen) {
    if (importsTorch(chosen)) return chosen;
    throw new Error(`STOPGRAD_PYTHON: expected an interpreter that imports torch and numpy, got ${chosen}`);
  }
  return ["python3", "/usr/bin/python3"].find(importsTorch) ?? null;
}

function importsTorch(command) {
  try {
    execFileSync(command, ["-c", "import torch, numpy"], { stdio: "ignore" });
    return true;
  } catch {
    return false;
  }
}
