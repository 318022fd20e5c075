// Mistakes in experiment files. All of them are collected before anything runs, and each is one sentence:
// where it stands, which setting, what was expected, what came, what would be right.

/** One mistake. */
export interface Problem {
  /** The setting, as it is written in the file: `variants.e2e.model.width`; "" for the file as a whole. */
  readonly path: string;
  /** What was expected and what came. */
  readonly message: string;
  /** `file.yaml:5:3`, `override epochs=twenty`, or the file's name where there is no line to point at. */
  readonly location: string;
}

/**
 * An experiment cannot be run as it is written. Cause: the file cannot be read, is not YAML, or holds settings that
 * are unknown, of the wrong type, out of range or impossible together. Cure: `problems` names every mistake at once.
 */
export class SettingsError extends Error {
  override readonly name = "SettingsError";

  constructor(
    readonly file: string,
    readonly problems: readonly Problem[],
  ) {
    const lines = problems.map(formatProblem);
    super(
      lines.length === 1 ? lines[0] : `${file}: ${lines.length} mistakes\n${lines.map((l) => `  ${l}`).join("\n")}`,
    );
  }
}

/** `file.yaml:5:3: epochs: expected a positive integer, got "twenty"`. */
export function formatProblem(problem: Problem): string {
  return [problem.location, problem.path, problem.message].filter((part) => part !== "").join(": ");
}
