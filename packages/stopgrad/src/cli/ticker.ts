// Progress of one long piece of work on standard error: nothing while it is quick, then a line now and then, or on a
// terminal one line that is written over.
import { duration } from "./progress.js";

/** Milliseconds of one piece of work before the first word about it, and between two words. */
const FIRST = 3000;
const EVERY = { terminal: 250, elsewhere: 5000 };

export interface Ticker {
  /** So much of so much is done of what is called `what`; a total of 0 for as much as it takes. */
  tick(what: string, done: number, total: number): void;
  /** Takes the line on a terminal away. */
  end(): void;
}

export function startTicker(): Ticker {
  const isTerminal = process.stderr.isTTY === true;
  const every = EVERY[isTerminal ? "terminal" : "elsewhere"];
  let current: string | null = null;
  let begun = 0;
  let told = 0;
  let hasWritten = false;
  return {
    tick(what, done, total) {
      const now = performance.now();
      if (what !== current) {
        current = what;
        begun = now;
        told = now + FIRST - every;
      }
      if (now - told < every) return;
      told = now;
      const left = done > 0 && total > 0 ? ((now - begun) / 1000 / done) * (total - done) : null;
      const text = `${what}: ${done}${total > 0 ? ` of ${total}` : ""}${left === null ? "" : `, ${duration(left)} to go`}`;
      process.stderr.write(isTerminal ? `\r\x1b[K${text}` : `${text}\n`);
      hasWritten = true;
    },
    end() {
      if (isTerminal && hasWritten) process.stderr.write("\r\x1b[K");
    },
  };
}
