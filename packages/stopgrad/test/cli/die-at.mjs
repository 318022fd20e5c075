// Loaded into a worker with `--import`: the process ends itself with SIGKILL at the nth of a kind of operation on
// checkpoint files, as `STOPGRAD_TEST_DIE_AT=write:40` says. A write it dies in has written half of its bytes.
// Kinds: open, write, fsync, rename (before it), renamed (after it), remove.
import fs from "node:fs";
import { syncBuiltinESMExports } from "node:module";

const [kind, at] = (process.env.STOPGRAD_TEST_DIE_AT ?? ":0").split(":");
const { openSync, writeSync, fsyncSync, renameSync, rmSync } = fs;
const open = new Set();
let count = 0;

const isCheckpoint = (path) => /[\\/]checkpoints[\\/]\.?step-/.test(String(path));

/** Whether this operation is the one to die in. */
function isLast(operation) {
  if (operation !== kind) return false;
  count += 1;
  return count === Number(at);
}

function die() {
  process.kill(process.pid, "SIGKILL");
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0); // nothing more happens until the signal arrives
}

fs.openSync = (path, ...rest) => {
  const descriptor = openSync(path, ...rest);
  if (!isCheckpoint(path) || rest[0] === "r") return descriptor;
  open.add(descriptor);
  if (isLast("open")) die();
  return descriptor;
};
fs.writeSync = (descriptor, bytes, offset, length, position) => {
  if (open.has(descriptor) && isLast("write")) {
    writeSync(descriptor, bytes, offset, Math.floor(length / 2), position);
    die();
  }
  return writeSync(descriptor, bytes, offset, length, position);
};
fs.fsyncSync = (descriptor) => {
  if (open.has(descriptor) && isLast("fsync")) die();
  open.delete(descriptor);
  fsyncSync(descriptor);
};
fs.renameSync = (from, to) => {
  if (isCheckpoint(from) && isLast("rename")) die();
  renameSync(from, to);
  if (isCheckpoint(from) && isLast("renamed")) die();
};
fs.rmSync = (path, options) => {
  if (isCheckpoint(path) && isLast("remove")) die();
  rmSync(path, options);
};
syncBuiltinESMExports();
