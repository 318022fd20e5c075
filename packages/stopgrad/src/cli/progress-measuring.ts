// Says what is being measured where a run has been silent for long: measures take longer than training as soon as there
// are many of them, and nothing else is to be seen of a run meanwhile.
import type { TrainingEvent } from "../experiment/protocol.js";

type Measuring = Extract<TrainingEvent, { type: "measuring" }>;

/** Milliseconds of a run's silence before it is said what it measures, and before the same is said again. */
const QUIET = 5000;
const QUIET_STILL = 30_000;
/** Of one measure, below which it is not worth a word. */
const SHORT = 1000;

/** `measuring geometry after epoch 3 (2 of 9)`. */
export function describeMeasuring({ measure, epoch, number, of }: Measuring): string {
  return `measuring ${measure} ${moment(epoch)}${of > 1 ? ` (${number} of ${of})` : ""}`;
}

/** @param epoch - those that are over; a fraction within one */
function moment(epoch: number): string {
  if (epoch === 0) return "before the first epoch";
  return Number.isInteger(epoch) ? `after epoch ${epoch}` : `in epoch ${Math.floor(epoch) + 1}`;
}

/** The silence of one run. */
export class Silence {
  #timer: NodeJS.Timeout | undefined;
  #since = performance.now();

  constructor(private readonly say: (event: Measuring) => void) {}

  /** Something of the run was to be seen. */
  broken(): void {
    this.#since = performance.now();
  }

  /** Something happened: what was measured is measured no more; what is, is told once it has been quiet for long. */
  note(event: TrainingEvent): void {
    this.end();
    if (event.type === "measuring") this.#wait(event, QUIET - (performance.now() - this.#since));
  }

  end(): void {
    clearTimeout(this.#timer);
  }

  #wait(event: Measuring, milliseconds: number): void {
    this.#timer = setTimeout(
      () => {
        this.say(event);
        this.broken();
        this.#wait(event, QUIET_STILL);
      },
      Math.max(SHORT, milliseconds),
    );
    this.#timer.unref();
  }
}
