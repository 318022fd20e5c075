// Sakamoto & Sato, arXiv 2402.09050: its tables and figures, in the paper's order. The files they run are in
// papers/e2e-information-bottleneck.
import type { Paper } from "../paper.js";
import { figure6, figure14, figure16, figure17, figure18 } from "./figures-deep-networks.js";
import { figure7, figure10, figure12 } from "./figures-objectives.js";
import { figure1, figure9 } from "./figures-probe.js";
import { figure3, figure5, figure11, figure13 } from "./figures-small-networks.js";
import { representations } from "./representations.js";
import { table1, table1CrossEntropy, table2, table3, table4 } from "./tables.js";

export const e2eInformationBottleneck: Paper = {
  id: "e2e-information-bottleneck",
  title: "End-to-End Training Induces Information Bottleneck through Layer-Role Differentiation",
  source: "arXiv 2402.09050",
  items: [
    table1,
    table1CrossEntropy,
    table2,
    table3,
    table4,
    figure1,
    figure3,
    figure5,
    figure6,
    figure7,
    figure9,
    figure10,
    figure11,
    figure12,
    figure13,
    figure14,
    figure16,
    figure17,
    figure18,
    representations,
  ],
};
