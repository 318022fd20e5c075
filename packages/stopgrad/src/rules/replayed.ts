// A step's passes recorded once and replayed: on a GPU a network of many small kernels waits for its launches, and a
// recording is one launch (CUDA graphs). The first steps are computed as ever, in which libraries choose their kernels; then
// the passes are recorded on memory of their own, into which each batch is copied. A batch of another size, such as an
// epoch's last one, is computed as ever.
import { cuda, keep, scope, type Tensor } from "@stopgrad/torch";
import type { Batch } from "./rule.js";

/** Steps of one size that are computed before the size is recorded. */
export const STEPS_BEFORE_RECORDING = 3;

/** Work that was recorded; `result` gets new values at each replay. */
export interface Recording<R> {
  readonly result: R;
  replay(): void;
  dispose(): void;
}

/** Records work without changing anything. */
export type Record = <R>(body: () => R) => Recording<R>;

/** As a CUDA graph on a device. */
export function recordOnGpu(device: string): Record {
  return (body) => cuda.graph(body, { device, warmUps: 0 });
}

/** Gradients in memory that replays write into. */
interface Recorded<R> {
  readonly images: Tensor;
  readonly labels: Tensor;
  readonly indices: Tensor;
  readonly recording: Recording<R>;
  readonly gradients: readonly (Tensor | null)[];
}

export class Replayed<R> {
  #recorded: Recorded<R> | null = null;
  /** Steps computed, by the shape of their images. */
  readonly #computed = new Map<string, number>();
  /** Whether gradients are those of a batch that was computed, in other memory than replays write into. */
  #displaced = false;

  /**
   * @param passes - sets every parameter's gradient, and takes the same path for every batch of one size
   * @param parameters - whose gradients they are
   */
  constructor(
    private readonly passes: (batch: Batch) => R,
    private readonly parameters: readonly Tensor[],
    private readonly record: Record,
  ) {}

  /** What `passes` gives for a batch, and its gradients; the result's tensors are written over by the next run. */
  run(batch: Batch): R {
    const recorded = this.#recorded;
    const size = batch.images.shape.join();
    const computed = this.#computed.get(size) ?? 0;
    if (recorded ? recorded.images.shape.join() !== size : computed < STEPS_BEFORE_RECORDING) {
      this.#computed.set(size, computed + 1);
      this.#displaced = true;
      return this.passes(batch);
    }
    const { images, labels, indices, recording, gradients } = recorded ?? this.#begin(batch);
    if (recorded) {
      images.copy_(batch.images);
      labels.copy_(batch.labels);
      indices.copy_(batch.indices);
    }
    if (this.#displaced)
      for (const [at, parameter] of this.parameters.entries()) parameter.grad = gradients[at] ?? null;
    this.#displaced = false;
    recording.replay();
    return recording.result;
  }

  dispose(): void {
    if (!this.#recorded) return;
    const { images, labels, indices, recording, gradients } = this.#recorded;
    for (const tensor of [images, labels, indices, ...gradients]) tensor?.dispose();
    recording.dispose();
    this.#recorded = null;
  }

  /** Records the passes on a copy of this batch. */
  #begin(batch: Batch): Recorded<R> {
    return scope(() => {
      const [images, labels, indices] = [batch.images.clone(), batch.labels.clone(), batch.indices.clone()];
      const recording = this.record(() => this.passes({ images, labels, indices }));
      for (const input of [images, labels, indices]) keep(input);
      const gradients = this.parameters.map(({ grad }) => grad && keep(grad));
      this.#displaced = false;
      this.#recorded = { images, labels, indices, recording, gradients };
      return this.#recorded;
    });
  }
}
