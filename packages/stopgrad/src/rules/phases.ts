// What a partitioned network trains, one after the other: everything at once, or module by module, and the classifier
// with them or after them (arXiv 2402.09050: simultaneous and sequential layer-wise training; arXiv 1908.01580: format
// training; arXiv 2101.10832: asynchronous training on cached outputs).
import type { Phase, RuleContext } from "./rule.js";

/** A phase of a partitioned network: modules `from` to before `end` are trained, those before `from` are frozen. */
export interface ModulePhase extends Phase {
  readonly from: number;
  readonly end: number;
  /** Whether the classifier is trained, on what the last module gives, detached. */
  readonly classifier: boolean;
}

/**
 * @param modules - their names, first to last
 * @param classifier - name of a classifier that is trained apart from the last module; null where it is attached
 */
export function planPhases(
  modules: readonly string[],
  classifier: string | null,
  context: Pick<RuleContext, "schedule" | "classifier" | "format">,
): ModulePhase[] {
  const count = modules.length;
  const usual = { epochs: null, learningRate: null };
  const last = context.classifier === "after" ? context.format : usual;
  const classifierAlone = (name: string) => ({ name, from: count, end: count, classifier: true, ...last });
  if (context.schedule.name === "simultaneous") {
    const apart = context.classifier === "after";
    const together = { name: "all", from: 0, end: count, classifier: classifier !== null && !apart, ...usual };
    return classifier !== null && apart ? [together, classifierAlone(classifier)] : [together];
  }
  return [
    ...modules.map((name, at) => ({ name, from: at, end: at + 1, classifier: false, ...usual })),
    ...(classifier === null ? [] : [classifierAlone(classifier)]),
  ];
}
