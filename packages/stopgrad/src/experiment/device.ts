// Where a run computes: whether a device can be used, what is in its memory, and when its work is done. A GPU's work is
// only started by the processor, so that what is timed must be waited for.
import { cuda, Generator } from "@stopgrad/torch";

/**
 * Why nothing can be trained on a device, one sentence without a full stop; null when it can. Loads libtorch, except for
 * the CPU: settings of runs on the CPU are checked without it.
 */
export function refusedDevice(device: string): string | null {
  if (device === "cpu") return null;
  try {
    const reason = cuda.whyUnavailable(device);
    if (reason === null) return null;
    return `${device} cannot be used, because ${reason}${cuda.isAvailable() ? "" : "; use cpu"}`;
  } catch (error) {
    return `${device} cannot be used: ${(error as Error).message}`; // libtorch itself is missing
  }
}

/** `cuda:1, NVIDIA H200` of a GPU, for the record of a run. */
export function describeDevice(device: string): string {
  return device === "cpu" ? device : `${device}, ${cuda.deviceName(device)}`;
}

/**
 * Before the work: the same settings are to give the same bits, so that a run that was stopped ends as if it was not.
 * @throws Error when the device cannot be used
 */
export function prepareDevice(device: string): void {
  const refused = refusedDevice(device);
  if (refused !== null) throw new Error(refused);
  if (device !== "cpu") cuda.setDeterministic(true);
}

/** Waits until everything that was started on a device is done. */
export function settle(device: string): void {
  if (device !== "cpu") cuda.synchronize(device);
}

/**
 * The generator of what is drawn on the device itself, seeded: masks of dropout. On a GPU the device's own, which a
 * recorded step goes on with; this process trains one run.
 */
export function generatorOn(device: string, seed: number): Generator {
  return device === "cpu" ? new Generator(seed) : cuda.defaultGenerator(device).manualSeed(seed);
}
