import { z } from "zod";
import type { Head } from "./head.js";

/** The loss sees the module's output itself. */
export const none: Head = {
  summary: "no head: the loss sees the module's output (not for cross-entropy, which needs class scores)",
  source: "arXiv 2402.09050, 0-layer",
  options: z.strictObject({}),
  create: () => null,
};
