// The `stopgrad` command: its verbs and their options. A verb's code is loaded when it is called, so that `--help` is
// quick.
import { Command, CommanderError, InvalidArgumentError, Option } from "commander";
import { prepareWorker } from "../experiment/worker-process.js";
import { stopgradVersion } from "../version.js";
import { describeError, exitCodes, note, printJson } from "./context.js";

const program = new Command("stopgrad")
  .description("What does training a network end to end give it that training it piece by piece does not?")
  .version(stopgradVersion(), "--version", "print the version")
  .configureOutput({ outputError: () => {} }) // told by `run`, in the form of every error
  .exitOverride();

/** A verb with the options all verbs share. */
function verb(parent: Command, usage: string, description: string): Command {
  return parent
    .command(usage)
    .description(description)
    .option("--json", "one JSON document on standard output and nothing else there")
    .option("--runs <folder>", "where runs are kept (STOPGRAD_RUNS, else ./runs)")
    .option("--data-dir <folder>", "where data sets lie (STOPGRAD_DATA, else the user's cache)")
    .exitOverride();
}

function positiveInteger(text: string): number {
  const value = Number(text);
  if (!Number.isInteger(value) || value < 1) throw new InvalidArgumentError(`expected a positive integer, got ${text}`);
  return value;
}

verb(program, "train", "train one experiment: one variant, its seeds")
  .argument("<file>", "experiment file (YAML)")
  .argument("[overrides...]", "settings to change, as in epochs=5 model.width=16 +observe.nhsic=true")
  .option("--variant <name>", "which variant of the file")
  .option("--jobs <n>", "runs side by side (default: one a processor)", positiveInteger)
  .option("--fresh", "start again, even if it is done or half done")
  .action(async (file, overrides, options) => {
    prepareWorker();
    await (await import("./train.js")).train(file, overrides, options);
  });

verb(program, "compare", "train every variant and seed of a file, print the table, write the report")
  .argument("<file>", "experiment file (YAML)")
  .argument("[overrides...]", "settings to change, as in epochs=5 seeds=[1,2,3]")
  .option("--jobs <n>", "runs side by side (default: one a processor)", positiveInteger)
  .option("--fresh", "start again, even what is done")
  .option("--out <folder>", "where the report goes (default: reports/<name> in the runs folder)")
  .action(async (file, overrides, options) => {
    prepareWorker();
    await (await import("./compare.js")).compare(file, overrides, options);
  });

verb(
  program,
  "reproduce",
  "run a table or figure of a paper, print found beside published and the verdict on its claim",
)
  .argument("[paper]", "paper; --list shows them")
  .argument("[item]", "table or figure, as in table-3; without one: the list")
  .argument("[overrides...]", "settings to change after the scale's, as in seeds=[1,2]")
  .option("--list", "every paper and item: claim, time at each scale, whether a result is recorded")
  .option("--scale <scale>", "smoke (seconds), small (under an hour on two processors), paper", "small")
  .option("--part <names...>", "only these parts of the item")
  .option("--jobs <n>", "runs side by side (default: one a processor)", positiveInteger)
  .option("--fresh", "start again, even what is done")
  .option("--out <folder>", "where the report goes (default: reports/<paper>-<item>-<scale> in the runs folder)")
  .action(async (paper, item, overrides, options) => {
    prepareWorker();
    await (await import("./reproduce.js")).reproduce(paper, item, overrides, options);
  });

verb(program, "resume", "go on with an interrupted run from its last checkpoint")
  .argument("<run>", "id of the run, or the beginning of it")
  .action(async (run, options) => {
    prepareWorker();
    await (await import("./train.js")).resume(run, options);
  });

verb(program, "runs", "list runs, or show one in full")
  .argument("[run]", "id of the run, or the beginning of it; default: all")
  .option("--name <experiment>", "only of this experiment")
  .addOption(
    new Option("--status <status>", "only with this status").choices(["running", "completed", "interrupted", "failed"]),
  )
  .option("--yaml", "print an experiment file that repeats this run alone")
  .action(async (run, options) => (await import("./runs.js")).runs(run, options));

verb(program, "report", "write the HTML report of some runs")
  .argument("<runs...>", "ids of runs, their beginnings, or names of experiments")
  .option("--out <folder>", "where it goes (default: reports/<name> in the runs folder)")
  .action(async (runs, options) => (await import("./report.js")).report(runs, options));

verb(program, "measure", "take a measure on arrays from anywhere (.npy)")
  .argument("[name]", "measure; --list shows them")
  .option("--list", "list the measures and their options")
  .option("--x <file>", "input, [N, ...]")
  .option("--y <file>", "labels: whole numbers [N], or one-hot rows [N, K]")
  .option("--z <files...>", "representations, each [N, ...]")
  .option("--batch <m>", "samples a mini-batch; the incomplete last one is dropped", positiveInteger, 128)
  .option("--set <option=value...>", "options of the measure, as in --set distance=plain sigma=5")
  .action(async (name, options) => (await import("./measure.js")).measure(name, options));

const data = program.command("data").description("data sets: what is there, download, verify").exitOverride();
verb(data, "list", "which sets there are and where they were found").action(async (options) =>
  (await import("./data.js")).list(options),
);
verb(data, "fetch", "download sets from their official sites, with checksums")
  .argument("<names...>", "data sets")
  .option("--force", "download although the set is there")
  .action(async (names, options) => (await import("./data.js")).fetch(names, options));
verb(data, "check", "verify structure and checksums")
  .argument("[names...]", "data sets; default: all that are there")
  .action(async (names, options) => (await import("./data.js")).check(names, options));

verb(program, "doctor", "the installation: libtorch, BLAS, threads, speed, data; and what to do about it").action(
  async (options) => (await import("./doctor.js")).doctor(options),
);

/** Runs a command line. Returns the exit code. */
async function run(args: readonly string[]): Promise<number> {
  try {
    await program.parseAsync(args, { from: "user" });
    return typeof process.exitCode === "number" ? process.exitCode : exitCodes.success;
  } catch (error) {
    if (error instanceof CommanderError && error.exitCode === 0) return exitCodes.success; // --help, --version
    const { message, code, trace } = error instanceof CommanderError ? wrongUsage(error) : describeError(error);
    if (wantsJson(args)) printJson({ error: message });
    note(`stopgrad: ${trace ?? message}`);
    return code;
  }
}

/** What commander refuses: `unknown command 'trian'; did you mean train?`. */
function wrongUsage({ code, message }: CommanderError): { message: string; code: number; trace?: string } {
  // It has printed the help where a command was expected and none came.
  if (code === "commander.help") return { message: "expected a command", code: exitCodes.usage };
  const sentence = message.replace(/^error: /, "").replace(/\n\(Did you mean (.*)\?\)$/, "; did you mean $1?");
  return { message: `${sentence} (stopgrad --help lists what there is)`, code: exitCodes.usage };
}

function wantsJson(args: readonly string[]): boolean {
  return args.includes("--json");
}

process.stdout.on("error", (error: NodeJS.ErrnoException) => {
  if (error.code !== "EPIPE") throw error; // `stopgrad runs | head` has read what it wanted
});
process.stderr.on("error", () => {}); // nobody reads the remarks any more; the work goes on

process.exitCode = await run(process.argv.slice(2));
