// The `stopgrad` command: its verbs and their options. A verb's code is loaded when it is called, so that `--help` is
// quick.
import { Command, CommanderError, InvalidArgumentError, Option } from "commander";
import { prepareWorker } from "../experiment/worker-process.js";
import { estimatorNames } from "../measures/mutual-information/names.js";
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

function resamples(text: string): number {
  const value = positiveInteger(text);
  if (value < 100 || value > 100_000) throw new InvalidArgumentError(`expected 100 to 100000, got ${text}`);
  return value;
}

function confidence(text: string): number {
  const value = Number(text);
  if (!(value > 0 && value < 1)) throw new InvalidArgumentError(`expected a number between 0 and 1, got ${text}`);
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

verb(program, "measure", "take a measure on arrays from anywhere (.npy, .npz, .safetensors, .pt), or on a run's stages")
  .argument("[name]", "measure; --list shows them")
  .option("--list", "list the measures and their options")
  .option("--x <file>", "input, [N, ...]; of an archive one entry: file.npz:name")
  .option("--y <file>", "labels: whole numbers [N], or one-hot rows [N, K]")
  .option("--z <files...>", "representations, each [N, ...]; an archive by its name is all its entries")
  .option("--test-z <files...>", "for a probe: the same of the test samples")
  .option("--test-y <file>", "for a probe: labels of the test samples")
  .option(
    "--split <which>",
    "share of the samples a probe trains on, as in 0.8; of a run, test or train images (default: as it observed, else test)",
  )
  .option("--run <run>", "measure the stages of this run instead of files: its id, or the beginning of it")
  .option("--against <run>", "measure another run on the same images too, and how far apart the two are")
  .option("--epoch, --epochs <epochs>", "of a run: last, all, or as in 1,5,20 (default: last)")
  .option("--stages <names...>", "of a run: only these stages")
  .option(
    "--samples <n>",
    "of a run: so many images, the first ones (default: as it observed the measure, else 1000; nhsic, hsic, cka 1024; probes all)",
    positiveInteger,
  )
  .option(
    "--batch <m>",
    "samples a mini-batch; the incomplete last one is dropped (default: as a run observed the measure, else 128)",
    positiveInteger,
  )
  .option("--full", "nhsic, hsic, cka: of all samples at once, in bounded memory")
  .option(
    "--bootstrap <b>",
    "resamples of the intervals of means (default: 2000), 100 to 100000; given, other numbers have intervals too, by measuring 100 halves of the samples",
    resamples,
  )
  .option("--level <share>", "confidence of the intervals", confidence, 0.95)
  .option("--set <option=value...>", "options of the measure, as in --set distance=plain sigma=5")
  .action(async (name, options) => (await import("./measure.js")).measure(name, options));

verb(program, "toy", "rank collapse of a linear layer under a linear head, beside an MLP head and end-to-end training")
  .option("--head <names>", "what trains W: linear, mlp, e2e, or several of them (default: linear,mlp,e2e)")
  .option("--penalty <form>", "on W's norm: lagrangian or quadratic (default: lagrangian)")
  .option("--lambda <weight>", "of the penalty (default: 0.01)")
  .option("--norm <c>", "squared norm that the quadratic penalty asks for (default: 1)")
  .option("--start <start>", "wide, or near-zero: two phases in the information plane (default: wide)")
  .option("--learning-rate <rate>", "step of gradient descent (default: 0.05)")
  .option("--steps <n>", "steps of gradient descent, all points at once (default: 20000)")
  .option("--points <n>", "points, an even number: half are mirror images (default: 2000)")
  .option("--seeds <numbers>", "points and starts, one network each (default: 1,2,3,4,5,6)")
  .option("--out <folder>", "where the figures go (default: reports/toy in the runs folder)")
  .action(async (options) => (await import("./toy.js")).toy(options));

verb(program, "sensitivity", "does a conclusion change with kernel, width, epsilon, batch size, split or distance?")
  .argument("[runs...]", "ids of runs that kept their epochs (checkpoint.keep=all), or their beginnings")
  .option("--x <file>", "instead of runs: input, [N, ...]")
  .option("--y <file>", "labels: whole numbers [N], or one-hot rows [N, K]")
  .option("--z <files...>", "representations, each [N, ...]: is their order the same under every setting?")
  .option("--epochs <epochs>", "of runs: all, or three or more as in 1,5,20 (default: all that were kept)")
  .option("--stages <names...>", "of runs: only these stages")
  .option(
    "--samples <n>",
    "so many of each split, the first ones (default: 2048, or as many as there are)",
    positiveInteger,
  )
  .option("--batch <m>", "the default's mini-batch; half, twice and four times as many are tried", positiveInteger, 128)
  .option("--grid", "all combinations of settings instead of one change at a time")
  .option("--out <folder>", "writes a table (.md), every number (.csv) and a picture (.svg) there")
  .action(async (runs, options) => (await import("./sensitivity.js")).sensitivity(runs, options));

verb(program, "probe", "how separable the classes are at each stage of a finished run")
  .argument("<run>", "id of the run, or the beginning of it")
  .addOption(new Option("--kind <kind>", "the classifier").choices(["linear", "mlp", "knn"]).default("linear"))
  .option("--epoch, --epochs <epochs>", "last, all, or as in 1,5,20 (default: last)")
  .option("--stages <names...>", "only these stages")
  .option("--samples <n>", "so many test images, the first ones (default: all)", positiveInteger)
  .option("--level <share>", "confidence of the intervals", confidence, 0.95)
  .option("--set <option=value...>", "options of the probe, as in --set train=5000")
  .action(async (run, options) => (await import("./probe.js")).probe(run, options));

verb(program, "activations", "write each stage's output to disk, a file a stage")
  .argument("<from>", "a run, or weights under torchvision's names (.safetensors)")
  .requiredOption("--out <folder>", "where the files go")
  .option("--force", "replace files that are there already")
  .option("--data <name>", "for weights in a file: the images")
  .option("--model <name>", "for weights in a file: the network they are of")
  .option("--set <option=value...>", "for weights in a file, as in --set model.width=16 data.path=images")
  .option("--epochs, --epoch <epoch>", "of a run, one (default: last)")
  .addOption(new Option("--split <split>", "which images").choices(["test", "train"]).default("test"))
  .option("--samples <n>", "so many images, the first ones (default: all)", positiveInteger)
  .option("--stages <names...>", "only these stages")
  .addOption(new Option("--dtype <type>", "of the numbers").choices(["float32", "float16"]).default("float32"))
  .addOption(new Option("--format <format>", "of the files").choices(["npy", "npz", "safetensors"]).default("npy"))
  .action(async (from, options) => (await import("./activations.js")).activations(from, options));

verb(
  program,
  "calibrate",
  "hold the estimators of mutual information against Gaussians whose information is known: about five minutes on two cores",
)
  .option("--estimators <names>", `${estimatorNames.join(", ")}, or several of them (default: all)`)
  .option("--pairs <which>", "input: x and z; labels: labels and z; or both as in input,labels (default: both)")
  .option("--dimensions <numbers>", "features of z and x (default: 1,2,5,10,20)")
  .option("--information <nats>", "strengths: nats of all features together (default: 0.1,0.5,1,2,4,8)")
  .option("--correlations <numbers>", "strengths instead by the correlation of every feature, as in 0.5,0.9")
  .option("--samples <n>", "samples of each pair (default: 5000)", positiveInteger)
  .option("--seeds <n>", "sets of samples; the estimate is their mean (default: 1)", positiveInteger)
  .option("--quick", "few dimensions, strengths, samples and training steps: about 15 seconds")
  .option("--out <folder>", "write calibration.md, .csv, .svg and .vl.json there")
  .action(async (options) => (await import("./calibrate.js")).calibrate(options));

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
  if (error.code === "EPIPE") return; // `stopgrad runs | head` has read what it wanted
  note(`stopgrad: standard output cannot be written: ${describeError(error).message}`);
  process.exit(exitCodes.failure);
});
process.stderr.on("error", () => {}); // nobody reads the remarks any more; the work goes on

process.exitCode = await run(process.argv.slice(2));
