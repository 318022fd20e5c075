// The rules an experiment file can name. Adding one: a file that exports a `Rule`, and a line here.
import { forwardForward } from "./forward-forward.js";
import { forwardGradient } from "./forward-gradient.js";
import { partitioned } from "./partitioned.js";
import type { Rule } from "./rule.js";

export { moduleCost } from "./module-cost.js";
export type {
  Batch,
  Chosen,
  LearningRule,
  NhsicTerm,
  Phase,
  Rule,
  RuleContext,
  Schedule,
  StepResult,
  TrainingData,
} from "./rule.js";
export { schedules } from "./schedules.js";
export { StepMemory } from "./step-memory.js";
export { countCorrect } from "./weights.js";

export const rules = {
  partitioned,
  "forward-forward": forwardForward,
  "forward-gradient": forwardGradient,
} satisfies Record<string, Rule>;
export type RuleName = keyof typeof rules;
