// How long runs that train side by side still take: what is left of training at each run's own speed, and what is left to
// measure by how long each measure took so far, in the run itself or else in others of the command. A measure that was
// never taken yet, as one of the last epoch alone, is unknown: the time to go is then only the least that it takes.
import type { TrainingEvent } from "../experiment/protocol.js";
import type { PlannedRun } from "../experiment/runner.js";
import { TEST_ACCURACY, timesLeft } from "../experiment/training-moments.js";

/** Seconds to go. */
export interface TimeToGo {
  readonly seconds: number;
  /** False where something is to come that nobody knows the time of. */
  readonly isAll: boolean;
}

/** A run that has begun. */
interface Course {
  readonly run: PlannedRun;
  readonly epochs: number;
  readonly totalSteps: number;
  /** Step at which this process began. */
  readonly firstStep: number;
  readonly startedAt: number;
  step: number;
  endedAt: number | null;
  /** Measure → how often it is still to be begun. */
  readonly toCome: Map<string, number>;
  /** What is being measured, since when. */
  measuring: { readonly measure: string; readonly since: number } | null;
  /** Measure → how long it took, each time. */
  readonly took: Map<string, number[]>;
}

/** Times are milliseconds unless they say otherwise. */
export class RunClock {
  readonly #courses = new Map<string, Course>();

  constructor(
    private readonly runs: readonly PlannedRun[],
    private readonly jobs: number,
    private readonly now: () => number = () => performance.now(),
  ) {}

  /** To be told every event, of runs in any order. */
  note(run: PlannedRun, event: TrainingEvent): void {
    if (event.type === "started") {
      this.#begin(run, event);
      return;
    }
    const course = this.#courses.get(run.id);
    if (!course) return;
    this.#endMeasuring(course);
    if (event.type === "measuring") {
      const { measure } = event;
      course.toCome.set(measure, Math.max(0, (course.toCome.get(measure) ?? 0) - 1));
      course.measuring = { measure, since: this.now() };
    } else if (event.type === "progress") course.step = event.step;
    else if (event.type === "metrics") course.step = Math.max(course.step, event.points[0]?.step ?? 0);
    else if (event.type !== "warning" && event.type !== "preparing") course.endedAt = this.now();
  }

  /** Left for one run; null before its speed is known. */
  left(run: PlannedRun): TimeToGo | null {
    const course = this.#courses.get(run.id);
    const perStep = course && course.endedAt === null ? this.#perStep(course) : null;
    if (!course || perStep === null) return null;
    const training = perStep * (course.totalSteps - course.step);
    const toCome = this.#measuringOf(course.toCome, course);
    const now = this.#leftOfMeasure(course);
    return {
      seconds: (training + toCome.milliseconds + (now ?? 0)) / 1000,
      isAll: toCome.isAll && now !== null,
    };
  }

  /** Left for all of them; null before any speed is known. */
  leftInAll(): TimeToGo | null {
    const open = this.runs.filter((run) => !run.done && (this.#courses.get(run.id)?.endedAt ?? null) === null);
    const known = open
      .map((run) => (this.#courses.has(run.id) ? this.left(run) : this.#leftOfWaiting(run)))
      .filter((left) => left !== null);
    if (known.length === 0) return null;
    const seconds = known.map((left) => left.seconds);
    const work = mean(seconds) * open.length; // one that has only just begun takes as long as the others
    return {
      seconds: Math.max(work / Math.min(this.jobs, open.length), ...seconds),
      isAll: known.every(({ isAll }) => isAll),
    };
  }

  #begin(run: PlannedRun, { totalSteps, epochs, step }: Extract<TrainingEvent, { type: "started" }>): void {
    this.#courses.set(run.id, {
      run,
      epochs,
      totalSteps,
      firstStep: step,
      startedAt: this.now(),
      step,
      endedAt: null,
      toCome: measuresToCome(run, { totalSteps, epochs }, step),
      measuring: null,
      took: new Map(),
    });
  }

  #endMeasuring(course: Course): void {
    if (!course.measuring) return;
    const { measure, since } = course.measuring;
    course.took.set(measure, [...(course.took.get(measure) ?? []), this.now() - since]);
    course.measuring = null;
  }

  /** As long as runs of its variant take from their beginning, or as others where there are none of it. */
  #leftOfWaiting(run: PlannedRun): TimeToGo | null {
    const begun = [...this.#courses.values()].filter((course) => this.#perStep(course) !== null);
    const alike = begun.filter((course) => course.run.settings.variant === run.settings.variant);
    const peers = (alike.length > 0 ? alike : begun).map((peer) => {
      const { milliseconds, isAll } = this.#measuringOf(measuresToCome(run, peer, 0), peer);
      return { seconds: (this.#perStep(peer)! * peer.totalSteps + milliseconds) / 1000, isAll };
    });
    if (peers.length === 0) return null;
    return { seconds: mean(peers.map(({ seconds }) => seconds)), isAll: peers.every(({ isAll }) => isAll) };
  }

  /** Of training alone; null before it is known. */
  #perStep({ step, firstStep, startedAt, endedAt, took, measuring }: Course): number | null {
    if (step <= firstStep) return null;
    const measured = sum([...took.values()].flat()) + (measuring ? this.now() - measuring.since : 0);
    return ((endedAt ?? this.now()) - startedAt - measured) / (step - firstStep);
  }

  /** Of what is being measured; 0 where nothing is, null where it is measured for the first time. */
  #leftOfMeasure(course: Course): number | null {
    if (!course.measuring) return 0;
    const { measure, since } = course.measuring;
    const whole = this.#timeOf(measure, course);
    return whole && Math.max(0, whole - (this.now() - since));
  }

  /** All measures that are to come, as far as their times are known. */
  #measuringOf(toCome: ReadonlyMap<string, number>, like: Course): { milliseconds: number; isAll: boolean } {
    const wanted = [...toCome].filter(([, times]) => times > 0);
    const times = wanted.map(([measure, count]) => {
      const each = this.#timeOf(measure, like);
      return each === null ? null : each * count;
    });
    return { milliseconds: sum(times.filter((one) => one !== null)), isAll: !times.includes(null) };
  }

  /** Of a measure once: as that run took it, or as all did; null where none has. */
  #timeOf(measure: string, { took }: Pick<Course, "took">): number | null {
    const own = took.get(measure) ?? [];
    const all = own.length > 0 ? own : [...this.#courses.values()].flatMap((course) => course.took.get(measure) ?? []);
    return all.length > 0 ? mean(all) : null;
  }
}

/** Measure → how often it is taken in a run from a step on; the test accuracy is one after every epoch. */
function measuresToCome(
  { settings }: PlannedRun,
  { totalSteps, epochs }: Pick<Course, "totalSteps" | "epochs">,
  step: number,
): Map<string, number> {
  const length = { epochs, stepsPerEpoch: totalSteps / epochs };
  const asked = Object.entries({ [TEST_ACCURACY]: { every: 1, firstEpoch: false }, ...settings.observe });
  return new Map(asked.map(([measure, when]) => [measure, timesLeft(when, length, step)]));
}

function sum(values: readonly number[]): number {
  return values.reduce((total, value) => total + value, 0);
}

function mean(values: readonly number[]): number {
  return sum(values) / values.length;
}
