// Reproducing papers: what there is, and what recorded numbers say about its claims. Never imports torch.
export { type Check, type Estimate, type Outcome, outcomes, overall } from "./claims.js";
export { Found, FoundRun, type Quantity } from "./found.js";
export { hoursAt, type Item, overridesAt, type Paper, type Part, type Published, type Scale, scales } from "./paper.js";
export {
  findItem,
  findPaper,
  findParts,
  findScale,
  paperFolder,
  papers,
  partFile,
  recordedResults,
  UnknownNameError,
} from "./papers.js";
export {
  judge,
  type Reproduction,
  renderReproduction,
  reproductionDocument,
  reproductionHtml,
  reproductionMarkdown,
} from "./present.js";
