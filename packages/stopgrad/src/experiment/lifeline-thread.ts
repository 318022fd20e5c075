// The thread that listens on a worker's lifeline (lifeline.ts).
import { Socket } from "node:net";
import { workerData } from "node:worker_threads";

const asked = workerData as Int32Array;
const line = new Socket({ fd: 0, readable: true, writable: false });
const end = () => process.kill(process.pid, "SIGKILL");

line.on("data", () => Atomics.store(asked, 0, 1));
line.on("end", end);
line.on("error", end);
