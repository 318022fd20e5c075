// What happens where a measure refuses one of several arrays: the refusal ends the measuring, or it is kept in place of a
// value, so that the others are measured.
import { MeasureError } from "./measure.js";

/** What is done with a representation that a measure refuses, where others may be measured. */
export type OnRefusal =
  /** The refusal ends the measuring. */
  | "throw"
  /** It stands in place of the value, in the measure's words. */
  | "row";

/** What `body` gives, or the words of the measure that refuses. @throws MeasureError instead where that is asked for */
export function taken<R>(onRefusal: OnRefusal, body: () => R): { value: R } | { refusal: string } {
  try {
    return { value: body() };
  } catch (error) {
    if (onRefusal === "row" && error instanceof MeasureError) return { refusal: error.message };
    throw error;
  }
}

/** Says which partner the measure refuses: all representations are lost with it. */
export function ofPartner<R>(partner: "x" | "y", body: () => R): R {
  try {
    return body();
  } catch (error) {
    if (error instanceof MeasureError) throw new MeasureError(`${partner}: ${error.message}`);
    throw error;
  }
}
