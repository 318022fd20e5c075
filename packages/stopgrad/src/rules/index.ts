// The rules an experiment file can name. Adding one: a file that exports a `Rule`, and a line here.
import { partitioned } from "./partitioned.js";
import type { Rule } from "./rule.js";

export { countCorrect } from "./partitioned.js";
export type { Batch, LearningRule, Rule, RuleContext, StepResult } from "./rule.js";

export const rules = { partitioned } satisfies Record<string, Rule>;
export type RuleName = keyof typeof rules;
