// Sums over the features of a large array, a block of rows and features at a time, so that its float64 copy never exists.
import { add_, mean, scope, type Tensor, zeros } from "@stopgrad/torch";

/** Features that are taken at a time. */
const FEATURES = 4096;

/** Rows at a time, unless said otherwise. */
export const ROWS = 1000;

/** Some rows of a block of features → float64, less the mean of each feature over all rows. */
export type Centred = (part: Tensor) => Tensor;

/**
 * Σ over blocks of features of `step(block, prepared)`, float64 `[N, width]`, where `block` is float64 `[rows, features]`
 * of the array less its features' means, exactly 0 where all rows are the same, and `prepared` what `prepare` makes once
 * for all rows of a block of features.
 *
 * @param rows - `[N, D]` of any numeric type
 * @param prepare - from the block's columns `[N, features]` and what centres some of its rows
 * @param step - gives `[rows, width]`
 * Memory O(N width + 4096 chunk) beside what `prepare` and `step` make.
 */
export function sumOverFeatures(
  rows: Tensor,
  width: number,
  chunk: number,
  prepare: (columns: Tensor, centred: Centred) => Tensor,
  step: (block: Tensor, prepared: Tensor) => Tensor,
): Tensor {
  const [count, features] = [rows.size(0), rows.size(1)];
  return scope(() => {
    const total = zeros([count, width], { dtype: "float64", device: rows.device });
    for (let from = 0; from < features; from += FEATURES) {
      scope(() => {
        const columns = rows.narrow(1, from, Math.min(FEATURES, features - from));
        const centred = centring(columns, chunk);
        const prepared = prepare(columns, centred);
        for (let start = 0; start < count; start += chunk) {
          scope(() => {
            const height = Math.min(chunk, count - start);
            add_(total.narrow(0, start, height), step(centred(columns.narrow(0, start, height)), prepared));
          });
        }
      });
    }
    return total;
  });
}

/** Less the first row, then less the mean of what is left: rounding of the mean leaves nothing where rows are the same. */
function centring(columns: Tensor, chunk: number): Centred {
  const count = columns.size(0);
  const first = columns.narrow(0, 0, 1).to({ dtype: "float64", copy: true }); // [1, features]
  const means = zeros([1, columns.size(1)], { dtype: "float64", device: columns.device });
  for (let start = 0; start < count; start += chunk) {
    scope(() => {
      const height = Math.min(chunk, count - start);
      const part = columns.narrow(0, start, height).to("float64").sub(first);
      add_(means, mean(part, [0], { keepDim: true }), height / count);
    });
  }
  return (part) => scope(() => part.to("float64").sub(first).sub_(means));
}
