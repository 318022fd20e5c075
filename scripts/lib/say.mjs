// What the scripts tell their user, all on standard error, and the one kind of error they expect.

/** The script that speaks: the beginning of every line. */
let speaker = "set-up";

/** Names the script that speaks from now on; `set-up` unless this is called. */
export function speakAs(name) {
  speaker = name;
}

/** A failure that the user can do something about: one sentence, and a tool's own last lines where there are any. */
export class Problem extends Error {
  /**
   * @param {string} sentence - what failed and what would mend it
   * @param {string} [tail] - the last lines that the failing tool printed
   */
  constructor(sentence, tail = "") {
    super(sentence);
    this.tail = tail;
  }
}

/** Prints one line. */
export function say(line) {
  process.stderr.write(`${speaker}: ${line}\n`);
}

/** Wall time since `started` (a `performance.now()`), for people: `0.4 s`, `74 s`. */
export function seconds(started) {
  const elapsed = (performance.now() - started) / 1000;
  return `${elapsed.toFixed(elapsed < 10 ? 1 : 0)} s`;
}

/**
 * Runs a slow piece of work and shows that it is alive: on a terminal one line that keeps changing, in a log a line
 * every 20 seconds; then a line with the time it took.
 *
 * @template T
 * @param {string} title - what is done, such as `compiling the addon`
 * @param {(report: (text: string) => void) => Promise<T>} work - calls `report` with how far it is
 * @returns {Promise<T>} what `work` returned
 */
export async function task(title, work) {
  const started = performance.now();
  const terminal = process.stderr.isTTY === true;
  let progress = "";
  const show = () => {
    const line = [title, progress, seconds(started)].filter(Boolean).join(", ");
    if (terminal) process.stderr.write(`\r\x1b[K${speaker}: ${line}`);
    else say(line);
  };
  if (!terminal) say(`${title} ...`);
  const timer = setInterval(show, terminal ? 200 : 20_000);
  try {
    const result = await work((text) => {
      progress = text;
    });
    clearInterval(timer);
    if (terminal) process.stderr.write("\r\x1b[K");
    say(`${title}: done in ${seconds(started)}`);
    return result;
  } catch (error) {
    clearInterval(timer);
    if (terminal) process.stderr.write("\r\x1b[K");
    say(`${title}: failed after ${seconds(started)}`);
    throw error;
  }
}
