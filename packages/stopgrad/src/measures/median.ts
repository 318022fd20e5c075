// The median heuristic: a kernel's width from the data, the median distance between two samples (Gretton et al. 2012).
import { maskedSelect, ones, scope, sort, type Tensor, triu } from "@stopgrad/torch";
import { MeasureError } from "./measure.js";

/**
 * The median of the m (m − 1) / 2 distances between two different samples; for an even number of them the mean of the
 * middle two, as NumPy has it. 0 where all samples are the same.
 *
 * @param distances - `[m, m]`, symmetric, float64
 * @param squared - the distances are squares; the median is that of their roots
 * @returns in the distances' unit, or in that of their roots; at least 0
 * @throws MeasureError when it is 0 though some samples differ: more than half of the pairs coincide; when it is infinite
 * Time O(m² log m), memory O(m²).
 */
export function medianDistance(distances: Tensor, squared: boolean): number {
  const [middle, largest] = scope(() => {
    const pairs = maskedSelect(distances, triu(ones([...distances.shape], { device: distances.device }), 1).to("bool"));
    const [sorted] = sort(pairs, 0);
    const count = sorted.numel;
    const at = (place: number) => {
      const value = sorted.select(0, place).item();
      return squared ? Math.sqrt(value) : value;
    };
    return [(at((count - 1) >> 1) + at(count >> 1)) / 2, at(count - 1)];
  }) as [number, number];
  if (!Number.isFinite(middle)) throw new MeasureError("the numbers are too large: the median distance is infinite");
  if (middle === 0 && largest > 0) {
    throw new MeasureError(
      "the median distance is 0, for more than half of the pairs of samples coincide: expected another width, " +
        "`scaled` or `fixed`",
    );
  }
  return middle;
}
