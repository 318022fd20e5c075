// Warnings of runs as people see them: a measure that cannot be computed for the same reason after every epoch of every
// run is one thing to know, said once, with how often it came where the runs end.
import type { MeasureProblem, TrainingEvent } from "../experiment/protocol.js";
import type { PlannedRun } from "../experiment/runner.js";

/** What came of one measure for one reason. */
interface Repeated {
  readonly measure: string;
  readonly stages: Set<string>;
  readonly runs: Set<string>;
  times: number;
}

export class Warnings {
  readonly #repeated = new Map<string, Repeated>();

  /** @param count - of the runs that are trained */
  constructor(private readonly count: number) {}

  /** What to say of a warning; null where it was said before, of this run or another. */
  told(run: PlannedRun, { message, problem }: Extract<TrainingEvent, { type: "warning" }>): string | null {
    if (!problem) return message;
    const key = keyOf(problem);
    const known = this.#repeated.get(key);
    const repeated = known ?? { measure: problem.measure, stages: new Set(), runs: new Set(), times: 0 };
    this.#repeated.set(key, repeated);
    for (const stage of problem.stages) repeated.stages.add(stage);
    repeated.runs.add(run.id);
    repeated.times += 1;
    return known ? null : message;
  }

  /** A sentence for each warning that came more often than it was said. */
  atEnd(): string[] {
    return [...this.#repeated.values()].flatMap(({ measure, stages, runs, times }) => {
      if (times === 1) return [];
      const where = runs.size < this.count ? ` in ${runs.size} of ${this.count} runs` : " in every run";
      return [
        `the warning of ${measure} came ${times} times${this.count === 1 ? "" : where}, of ${[...stages].join(", ")}`,
      ];
    });
  }
}

/** Numbers in a reason, as of samples or singular values, differ from epoch to epoch. */
function keyOf({ measure, reason }: MeasureProblem): string {
  return `${measure}: ${reason.replace(/\d+(\.\d+)?(e[+-]?\d+)?/g, "#")}`;
}
