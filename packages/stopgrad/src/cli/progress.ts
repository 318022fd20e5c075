// Progress of runs on standard error: a bar a run on a terminal, a line an epoch elsewhere.
import { MultiBar, Presets, type SingleBar } from "cli-progress";
import type { TrainingEvent } from "../experiment/protocol.js";
import type { PlannedRun } from "../experiment/runner.js";
import { note } from "./context.js";

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

/** Time to go for all runs: what is left of each at its own speed, shared by the jobs. */
class Clock {
  readonly #totals = new Map<string, { total: number; done: number; started: number; startedAt: number }>();
  constructor(
    private readonly runs: readonly PlannedRun[],
    private readonly jobs: number,
  ) {}

  note(run: PlannedRun, event: TrainingEvent): void {
    if (event.type === "started") {
      const { totalSteps: total, step } = event;
      this.#totals.set(run.id, { total, done: step, started: step, startedAt: performance.now() });
    } else if (event.type === "progress") {
      const known = this.#totals.get(run.id);
      if (known) known.done = event.step;
    } else if (event.type === "completed" || event.type === "failed" || event.type === "interrupted") {
      const known = this.#totals.get(run.id);
      if (known) known.done = known.total;
    }
  }

  /** Seconds left for one run; null before its speed is known. */
  left(run: PlannedRun): number | null {
    const known = this.#totals.get(run.id);
    if (!known || known.done <= known.started) return null;
    const perStep = (performance.now() - known.startedAt) / 1000 / (known.done - known.started);
    return perStep * (known.total - known.done);
  }

  /** Seconds left for all of them. */
  leftInAll(): number | null {
    const open = this.runs.filter((run) => !run.done);
    const known = open.map((run) => this.left(run)).filter((left) => left !== null);
    const perRun = open
      .map((run) => this.#totals.get(run.id))
      .flatMap((run) => {
        if (!run || run.done <= run.started) return [];
        return [((performance.now() - run.startedAt) / 1000 / (run.done - run.started)) * run.total];
      });
    if (perRun.length === 0) return null;
    const waiting = open.length - this.#totals.size;
    const average = perRun.reduce((sum, seconds) => sum + seconds, 0) / perRun.length;
    const work = known.reduce((sum, seconds) => sum + seconds, 0) + waiting * average;
    return Math.max(work / Math.min(this.jobs, open.length), ...known);
  }
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
  readonly #clock: Clock;
  readonly #preparing = new Preparing();
  readonly #speed = new Map<string, number>();
  /** Of each run that has begun, all phases together. */
  readonly #epochs = new Map<string, number>();

  constructor(runs: readonly PlannedRun[], jobs: number) {
    this.#clock = new Clock(runs, jobs);
  }

  onEvent(run: PlannedRun, event: TrainingEvent): void {
    this.#clock.note(run, event);
    if (event.type === "started") this.#epochs.set(run.id, event.epochs);
    if (event.type === "progress") this.#speed.set(run.id, event.imagesPerSecond);
    else if (event.type === "metrics") this.#epoch(run, event.points);
    else if (event.type === "preparing") {
      const line = this.#preparing.line(run, event);
      if (line !== null) note(line);
    } else say(run, event);
  }

  #epoch(run: PlannedRun, points: Extract<TrainingEvent, { type: "metrics" }>["points"]): void {
    const value = (key: string) => points.find((point) => point.key === key)?.value;
    const epoch = points[0]?.epoch ?? 0;
    const speed = value("imagesPerSecond");
    if (speed === undefined) return;
    const left = this.#clock.leftInAll();
    note(
      `${label(run)}: epoch ${epoch}/${this.#epochs.get(run.id)}, loss ${value("trainLoss")?.toFixed(3)}, test accuracy ` +
        `${((value("testAccuracy") ?? 0) * 100).toFixed(1)} %, ${Math.round(speed)} images/s` +
        (left === null ? "" : `, ${duration(left)} to go`),
    );
  }

  stop(): void {}
}

/** What a person should see of an event, beside progress. */
function say(run: PlannedRun, event: TrainingEvent): void {
  if (event.type === "warning") note(`${label(run)}: warning: ${event.message}`);
  else if (event.type === "failed") note(`${label(run)}: failed: ${event.message}`);
  else if (event.type === "started" && event.step > 0) note(`${label(run)}: goes on from step ${event.step}`);
}

class Bars implements Progress {
  readonly #clock: Clock;
  readonly #preparing = new Preparing();
  readonly #bars = new Map<string, SingleBar>();
  readonly #multi: MultiBar;
  readonly #width: number;

  constructor(runs: readonly PlannedRun[], jobs: number) {
    this.#clock = new Clock(runs, jobs);
    this.#width = Math.max(...runs.map((run) => label(run).length));
    this.#multi = new MultiBar(
      {
        format: "{label} {bar} epoch {epoch}/{epochs}  loss {loss}  {speed} images/s  {left}",
        stream: process.stderr,
        // What stands beside the bar takes up to 60 columns and the label; longer lines are cut at the edge.
        barsize: Math.max(6, Math.min(24, (process.stderr.columns ?? 80) - this.#width - 60)),
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
      const left = this.#clock.left(run);
      this.#bars.get(run.id)?.update(event.step, {
        epoch: event.epoch,
        loss: event.loss.toFixed(3),
        speed: Math.round(event.imagesPerSecond),
        left: left === null ? "" : `${duration(left)} to go`,
      });
    } else if (event.type === "metrics") {
      const loss = event.points.find(({ key }) => key === "trainLoss")?.value;
      if (loss !== undefined) this.#bars.get(run.id)?.update({ loss: loss.toFixed(3) });
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
      this.#multi.log(`${label(run)}: ${event.type}: ${event.message}\n`);
      if (event.type === "failed") this.#bars.get(run.id)?.stop();
    }
  }

  stop(): void {
    this.#multi.stop();
  }
}
