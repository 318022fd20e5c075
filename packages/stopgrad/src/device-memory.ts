// Bytes of tensors, counted by the allocators themselves.
import { cuda, memory, resetPeakBytes } from "@stopgrad/torch";

/** Bytes of tensors on a device; on a GPU blocks of the caching allocator, which are multiples of 512 bytes. */
export function bytesOn(device: string): { live: number; peak: number } {
  if (device === "cpu") {
    const { liveBytes, peakBytes } = memory();
    return { live: liveBytes, peak: peakBytes };
  }
  const { allocatedBytes, peakAllocatedBytes } = cuda.memory(device);
  return { live: allocatedBytes, peak: peakAllocatedBytes };
}

/** Starts a new peak at the bytes that are live now. */
export function resetPeakOn(device: string): void {
  if (device === "cpu") resetPeakBytes();
  else cuda.resetPeakBytes(device);
}
