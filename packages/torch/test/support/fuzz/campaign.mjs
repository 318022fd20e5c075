// The fuzz test's run: children that make the calls, one after the other. When one dies, or a call does not end, the call
// is recorded and a new child goes on with the next one.
//
// `node campaign.mjs --seed 1 --calls 100000 [--areas operators,addon] [--match aten::] [--unchecked] [--explain]`
import { spawn } from "node:child_process";
import { existsSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";

/** A call that takes more of the processors' time does not end. */
const SECONDS_A_CALL = 60;
/** Processors' time of a child: one that never ends does not outlive a campaign that was killed by much. */
const SECONDS_A_CHILD = 1800;
/** Address space of a child, so that a huge size is refused and does not take the machine's memory. */
const KILOBYTES = 6e6;

const child = fileURLToPath(new URL("./child.mjs", import.meta.url));

/**
 * @param {Partial<import("./child.mjs").Order> & { seed: number, calls: number, from?: number, most?: number }} order
 * @returns {Promise<{ seed: number, calls: number, answers: number, errors: number, seconds: number, rss: number, byArea: Record<string, [answers: number, errors: number]>, slowest: { seconds: number, name: string }, faults: { call: number, name: string, problem: string }[] }>} `faults` are crashes, calls that do not end, errors of a wrong kind, and what was left behind
 */
export async function campaign({ calls, from = 0, most = 50, piece = 10_000, ...order }) {
  const started = performance.now();
  const folder = mkdtempSync(join(tmpdir(), "stopgrad-fuzzing-"));
  const progress = join(folder, "progress");
  const total = {
    seed: order.seed,
    calls: 0,
    answers: 0,
    errors: 0,
    seconds: 0,
    rss: 0,
    byArea: {},
    slowest: { seconds: 0, name: "" },
    faults: [],
  };
  let next = from;
  let dead = 0;
  while (next < from + calls && dead < most) {
    const to = Math.min(from + calls, next + piece);
    const { report, problem } = await runChild({ ...order, from: next, to, progress });
    if (report) {
      total.calls += report.calls;
      total.answers += report.answers;
      total.errors += report.errors;
      total.faults.push(...report.faults);
      total.rss = Math.max(total.rss, report.rss);
      if (report.slowest.seconds > total.slowest.seconds) total.slowest = report.slowest;
      for (const [area, [answers, errors]] of Object.entries(report.byArea)) {
        total.byArea[area] ??= [0, 0];
        const sum = total.byArea[area];
        sum[0] += answers;
        sum[1] += errors;
      }
    }
    if (!problem) {
      next = to;
    } else {
      const [, call, name] = /^(\d+) (.*)/.exec(readFileSync(progress, "utf8").trim()) ?? [
        null,
        next,
        "before the first call",
      ];
      dead++;
      total.faults.push({ call: Number(call), name, problem });
      if (order.explain) process.stderr.write(`${call} ${name}: ${problem}\n`);
      next = Number(call) + 1;
    }
  }
  rmSync(folder, { recursive: true });
  total.seconds = Math.round((performance.now() - started) / 1000);
  return total;
}

function runChild(order) {
  rmSync(`${order.progress}.report`, { force: true });
  return new Promise((resolve) => {
    const command = [process.execPath, "--expose-gc", "--no-warnings", child, JSON.stringify(order)];
    // The address sanitizer reserves more than any limit.
    const limited = !/asan/.test(process.env.LD_PRELOAD ?? "") && process.platform === "linux";
    const started = limited
      ? spawn("/bin/sh", [
          "-c",
          `ulimit -v ${KILOBYTES}; ulimit -t ${SECONDS_A_CHILD}; ulimit -c 0; exec "$@"`,
          "sh",
          ...command,
        ])
      : spawn(command[0], command.slice(1));
    let output = "";
    let complaints = "";
    started.stdout.on("data", (text) => {
      output = (output + text).slice(-1e6);
    });
    started.stderr.on("data", (text) => {
      if (order.explain) process.stderr.write(text);
      complaints = (complaints + text).slice(-6000);
    });
    let seen = "";
    let since = 0;
    let hung = false;
    const watch = setInterval(() => {
      let now = "";
      try {
        now = readFileSync(order.progress, "utf8");
      } catch {}
      if (now !== seen) {
        seen = now;
        since = processorSeconds(started.pid);
      } else if (processorSeconds(started.pid) - since > SECONDS_A_CALL * (limited ? 1 : 4) && now !== "") {
        hung = true;
        started.kill("SIGKILL");
      }
    }, 250);
    started.on("close", (code, signal) => {
      clearInterval(watch);
      const last = output.trim().split("\n").at(-1);
      if (code === 0 && last.startsWith("{")) return resolve({ report: JSON.parse(last) });
      const file = `${order.progress}.report`;
      const report = existsSync(file) ? JSON.parse(readFileSync(file, "utf8")) : undefined;
      if (hung) resolve({ report, problem: `did not end within ${SECONDS_A_CALL} s` });
      else resolve({ report, problem: `ended the process: ${signal ?? `exit ${code}`} ${firstLines(complaints)}` });
    });
  });
}

/** Time that a process has had, in seconds: the clock would blame a call for others' work. */
function processorSeconds(pid) {
  try {
    const fields = readFileSync(`/proc/${pid}/stat`, "utf8")
      .replace(/^.*\) /, "")
      .split(" ");
    return (Number(fields[11]) + Number(fields[12])) / 100;
  } catch {
    return performance.now() / 1000;
  }
}

/** What a sanitizer or a failed assertion says, without the addresses. */
function firstLines(text) {
  const at = text.search(/ERROR: AddressSanitizer|runtime error|terminate called|Assertion|Fatal|FATAL|Error:/);
  return text
    .slice(at < 0 ? -800 : at)
    .trim()
    .slice(0, 1500);
}

if (process.argv[1] && import.meta.url === pathToFileURL(process.argv[1]).href) {
  const order = { seed: 1, calls: 1000 };
  for (let i = 2; i < process.argv.length; i++) {
    const name = process.argv[i].slice(2);
    if (name === "unchecked" || name === "explain") order[name] = true;
    else {
      const value = process.argv[++i];
      order[name] = name === "areas" ? value.split(",") : name === "match" ? value : Number(value);
    }
  }
  console.log(JSON.stringify(await campaign(order), null, 1));
}
