// One side of a comparison: a child process that is kept alive and asked in turn, so that its start is not measured.
//
// It is given its job as JSON in its first argument, warms up, and prints one line of JSON when it is ready; for each
// number on a line of its standard input it does that many units of work and prints one more. It ends with its input.

import { spawn } from "node:child_process";
import { createInterface } from "node:readline";

const LINES_KEPT = 12;

export class Contestant {
  #child;
  #lines;
  #errors = [];
  #failure;

  /**
   * @param {string} title - for messages
   * @param {string[]} command - program and arguments
   * @param {{ threads: number }} job
   * @param {Record<string, string>} environment - variables beside this process's own
   */
  constructor(title, command, job, environment = {}) {
    this.title = title;
    const threads = String(job.threads);
    this.#child = spawn(command[0], [...command.slice(1), JSON.stringify(job)], {
      stdio: ["pipe", "pipe", "pipe"],
      env: {
        ...process.env,
        OMP_NUM_THREADS: threads,
        OPENBLAS_NUM_THREADS: threads,
        MKL_NUM_THREADS: threads,
        ...environment,
      },
    });
    this.#failure = new Promise((_, reject) => {
      this.#child.on("error", reject);
      this.#child.on("close", (code, signal) => {
        const how = signal ? `was ended by ${signal}` : `ended with status ${code}`;
        reject(new Error(`${title} ${how} before it answered${this.#errors.map((line) => `\n  ${line}`).join("")}`));
      });
    });
    this.#failure.catch(() => {});
    this.#child.stdin.on("error", () => {}); // the end of the child tells more
    createInterface({ input: this.#child.stderr }).on("line", (line) => {
      this.#errors = [...this.#errors, line].slice(-LINES_KEPT);
    });
    this.#lines = createInterface({ input: this.#child.stdout })[Symbol.asyncIterator]();
  }

  /** The answer to being started. */
  ready() {
    return this.#answer();
  }

  /** @param {number} count - units of work @returns {Promise<{ seconds: number, units: number }>} */
  ask(count) {
    this.#child.stdin.write(`${count}\n`);
    return this.#answer();
  }

  async #answer() {
    const line = await Promise.race([this.#lines.next(), this.#failure]);
    return line.done ? this.#failure : JSON.parse(line.value);
  }

  /** Ends the child and waits until it is gone, with its memory. */
  async close() {
    this.#child.stdin.end();
    await this.#failure.catch(() => {});
  }

  kill() {
    this.#child.kill("SIGKILL");
  }
}
