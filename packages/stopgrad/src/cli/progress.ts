// Progress of runs on standard error: a bar a run on a terminal, a line an epoch elsewhere.
import { MultiBar, Presets, type SingleBar } from "cli-progress";
import type { TrainingEvent } from "../experiment/protocol.js";
import type { PlannedRun } from "../experiment/runner.js";
import { note } from "./context.js";
import { RunClock, type TimeToGo } from "./progress-clock.js";
import { describeMeasuring, Silence } from "./progress-measuring.js";
import { Warnings } from "./progress-warnings.js";

export interface Progress {
  onEvent(run: PlannedRun, event: TrainingEvent): void;
  stop(): void;
}

/** Seconds as people say them: `8 s`, `3 min 20 s`, `2 h 5 min`. */
export function duration(seconds: number): string {
  const whole = Math.max(0, Math.round(seconds));
  if (whole < 60) return `${whole} s`;
  if (whole < 3600) return `${Math.floor(whole / 60)} min ${whole % 60} s`;
  return `${Math.floor(whole / 3600)} h ${Math.floor((whole % 3600) / 60)} min`;
}

const label = (run: PlannedRun) => `${run.settings.variant}, seed ${run.settings.seed}`;

export function showProgress(runs: readonly PlannedRun[], jobs: number): Progress {
  return process.stderr.isTTY ? new Bars(runs, jobs) : new Lines(runs, jobs);
}

/** `at least 12 s to go`; nothing where it is not known. */
function toGo(left: TimeToGo | null): string {
  return left === null ? "" : `${left.isAll ? "" : "at least "}${duration(left.seconds)} to go`;
}

function withTime(text: string, left: TimeToGo | null): string {
  return left === null ? text : `${text}, ${toGo(left)}`;
}

/** Milliseconds between two lines about one run's images. */
const PREPARING_EVERY = 5000;

/** How far the images of runs are prepared, with a time to go: a line now and then. */
class Preparing {
  readonly #began = new Map<string, { at: number; done: number; toldAt: number }>();

  /** A line to show; null between two. */
  line(run: PlannedRun, { done, total }: Extract<TrainingEvent, { type: "preparing" }>): string | null {
    const now = performance.now();
    const began = this.#began.get(run.id);
    if (!began) {
      this.#began.set(run.id, { at: now, done, toldAt: now });
      return null;
    }
    if (now - began.toldAt < PREPARING_EVERY) return null;
    began.toldAt = now;
    const left = ((now - began.at) / 1000 / (done - began.done)) * (total - done);
    return `${label(run)}: preparing images: ${done} of ${total}, ${duration(left)} to go`;
  }
}

class Lines implements Progress {
  readonly #clock: RunClock;
  readonly #preparing = new Preparing();
  readonly #warnings: Warnings;
  /** Of each run that has begun, all phases together. */
  readonly #epochs = new Map<string, number>();
  readonly #silences = new Map<string, Silence>();

  constructor(runs: readonly PlannedRun[], jobs: number) {
    this.#clock = new RunClock(runs, jobs);
    this.#warnings = new Warnings(runs.filter(({ done }) => !done).length);
  }

  onEvent(run: PlannedRun, event: TrainingEvent): void {
    this.#clock.note(run, event);
    this.#silence(run).note(event);
    if (event.type === "started") this.#epochs.set(run.id, event.epochs);
    if (event.type === "metrics") this.#epoch(run, event.points);
    else if (event.type === "preparing") {
      const line = this.#preparing.line(run, event);
      if (line !== null) note(line);
    } else {
      const line = lineOf(run, event, this.#warnings);
      if (line !== null) this.#say(run, line);
    }
  }

  /** A line about a run. */
  #say(run: PlannedRun, text: string): void {
    this.#silence(run).broken();
    note(`${label(run)}: ${text}`);
  }

  #silence(run: PlannedRun): Silence {
    const known = this.#silences.get(run.id);
    if (known) return known;
    const silence = new Silence((event) => {
      this.#say(run, withTime(describeMeasuring(event), this.#clock.leftInAll()));
    });
    this.#silences.set(run.id, silence);
    return silence;
  }

  #epoch(run: PlannedRun, points: Extract<TrainingEvent, { type: "metrics" }>["points"]): void {
    const value = (key: string) => points.find((point) => point.key === key)?.value;
    const epoch = points[0]?.epoch ?? 0;
    const speed = value("imagesPerSecond");
    if (speed === undefined) return;
    const found =
      `epoch ${epoch}/${this.#epochs.get(run.id)}, loss ${value("trainLoss")?.toFixed(3)}, test accuracy ` +
      `${((value("testAccuracy") ?? 0) * 100).toFixed(1)} %, ${Math.round(speed)} images/s`;
    this.#say(run, withTime(found, this.#clock.leftInAll()));
  }

  stop(): void {
    for (const silence of this.#silences.values()) silence.end();
    for (const line of this.#warnings.atEnd()) note(line);
  }
}

/** What a person should see of an event, beside progress; null where that is nothing. */
function lineOf(run: PlannedRun, event: TrainingEvent, warnings: Warnings): string | null {
  if (event.type === "failed") return `failed: ${event.message}`;
  if (event.type === "started" && event.step > 0) return `goes on from step ${event.step}`;
  const warning = event.type === "warning" ? warnings.told(run, event) : null;
  return warning === null ? null : `warning: ${warning}`;
}

class Bars implements Progress {
  readonly #clock: RunClock;
  readonly #preparing = new Preparing();
  readonly #warnings: Warnings;
  readonly #bars = new Map<string, SingleBar>();
  readonly #multi: MultiBar;
  readonly #width: number;

  constructor(runs: readonly PlannedRun[], jobs: number) {
    this.#clock = new RunClock(runs, jobs);
    this.#warnings = new Warnings(runs.filter(({ done }) => !done).length);
    this.#width = Math.max(...runs.map((run) => label(run).length));
    this.#multi = new MultiBar(
      {
        format: "{label} {bar} epoch {epoch}/{epochs}  loss {loss}  {speed} images/s  {left}",
        stream: process.stderr,
        // What stands beside the bar takes up to 72 columns and the label; longer lines are cut at the edge.
        barsize: Math.max(6, Math.min(24, (process.stderr.columns ?? 80) - this.#width - 72)),
        hideCursor: true,
        clearOnComplete: false,
        emptyOnZero: true,
        gracefulExit: false,
      },
      Presets.shades_classic,
    );
  }

  onEvent(run: PlannedRun, event: TrainingEvent): void {
    this.#clock.note(run, event);
    if (event.type === "started") {
      const bar = this.#multi.create(event.totalSteps, event.step, {
        label: label(run).padEnd(this.#width),
        epoch: 0,
        epochs: event.epochs,
        loss: "-",
        speed: "-",
        left: "",
      });
      this.#bars.set(run.id, bar);
    } else if (event.type === "progress") {
      this.#bars.get(run.id)?.update(event.step, {
        epoch: event.epoch,
        loss: event.loss.toFixed(3),
        speed: Math.round(event.imagesPerSecond),
        left: toGo(this.#clock.left(run)),
      });
    } else if (event.type === "measuring") {
      this.#bars.get(run.id)?.update({ left: withTime(`measuring ${event.measure}`, this.#clock.left(run)) });
    } else if (event.type === "metrics") {
      const loss = event.points.find(({ key }) => key === "trainLoss")?.value;
      const left = toGo(this.#clock.left(run));
      this.#bars.get(run.id)?.update({ left, ...(loss === undefined ? {} : { loss: loss.toFixed(3) }) });
    } else if (event.type === "completed") {
      const bar = this.#bars.get(run.id);
      bar?.update(bar.getTotal(), {
        epoch: event.summary.epochs,
        speed: Math.round(event.summary.imagesPerSecond),
        left: `test accuracy ${(event.summary.testAccuracy * 100).toFixed(1)} %`,
      });
      bar?.stop();
    } else if (event.type === "preparing") {
      const line = this.#preparing.line(run, event);
      if (line !== null) this.#multi.log(`${line}\n`);
    } else if (event.type === "failed" || event.type === "warning") {
      const line = lineOf(run, event, this.#warnings);
      if (line !== null) this.#multi.log(`${label(run)}: ${line}\n`);
      if (event.type === "failed") this.#bars.get(run.id)?.stop();
    }
  }

  stop(): void {
    this.#multi.stop();
    for (const line of this.#warnings.atEnd()) note(line);
  }
}
