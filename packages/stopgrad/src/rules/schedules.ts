// In what order modules learn. Registered like everything an experiment file can name.
import { z } from "zod";
import type { RegistryEntry } from "../registry.js";

/**
 * Of what is frozen below: `fixed`, it runs in evaluation mode; `moving`, in training mode, as in the released code of
 * arXiv 2402.09050, where batch norm's running statistics go on moving and dropout goes on.
 */
const frozen = z.strictObject({ statistics: z.enum(["fixed", "moving"]).default("fixed") });

/** Name in experiment files → entry. What a schedule means to a partition is in phases.ts. */
export const schedules = {
  simultaneous: {
    summary: "all modules learn from every batch",
    source: "arXiv 2402.09050, eq. 2",
    options: z.strictObject({}),
  },
  sequential: {
    summary: "module after module, each for all epochs, on what is frozen below; then the classifier",
    source: "arXiv 2402.09050, appendix",
    options: frozen,
  },
  asynchronous: {
    summary: "as sequential, on outputs of the modules below that are computed once and kept",
    source: "arXiv 2101.10832, Asy-InfoPro",
    options: z.strictObject({}),
  },
} satisfies Record<string, RegistryEntry>;
