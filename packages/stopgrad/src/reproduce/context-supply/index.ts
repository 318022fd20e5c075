// Yu et al., arXiv 2312.07636: its tables and figures, and one comparison of ours. The files they run are in
// papers/context-supply.
import type { Paper } from "../paper.js";
import { accuracyOverModules } from "./accuracy-over-modules.js";
import { figure4, figure5, information } from "./figures.js";
import { table1, table2, table3, table4 } from "./tables.js";

export const contextSupply: Paper = {
  id: "context-supply",
  title: "Go Beyond End-to-End Training: Boosting Greedy Local Learning with Context Supply",
  source: "arXiv 2312.07636",
  shows: "error",
  costs: true,
  publishedIn: "Published: arXiv 2101.10832, five runs; of arXiv 2312.07636 itself no number is known to us.",
  items: [table1, table2, table3, figure4, figure5, table4, information, accuracyOverModules],
};
