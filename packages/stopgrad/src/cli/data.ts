// `stopgrad data list | fetch | check`.
import { Presets, SingleBar } from "cli-progress";
import { type CommandResult, checkDatasets, fetchDatasets, listDatasets } from "../data/commands.js";
import { type CommonOptions, dataFolders, exitCodes, note, print, printJson } from "./context.js";

function finish(result: CommandResult<unknown>, options: CommonOptions): void {
  if (options.json) printJson(result.data);
  else if (result.lines.length > 0) print(result.lines.join("\n"));
  if (!result.ok) process.exitCode = exitCodes.failure;
}

export function list(options: CommonOptions): void {
  finish(listDatasets(dataFolders(options)), options);
}

export async function check(names: readonly string[], options: CommonOptions): Promise<void> {
  finish(await checkDatasets(names, dataFolders(options)), options);
}

export async function fetch(names: readonly string[], options: CommonOptions & { force?: boolean }): Promise<void> {
  const abort = new AbortController();
  const onSignal = () => abort.abort(new Error("interrupted; the same command goes on where it stopped"));
  process.once("SIGINT", onSignal);
  const bar = process.stderr.isTTY
    ? new SingleBar(
        {
          format: "{file} {bar} {percentage} %  {done} of {size} MiB  {eta_formatted} to go",
          stream: process.stderr,
          hideCursor: true,
        },
        Presets.shades_classic,
      )
    : null;
  try {
    let current = "";
    const result = await fetchDatasets(names, dataFolders(options), {
      ...(options.force === undefined ? {} : { force: options.force }),
      signal: abort.signal,
      ...(process.env.STOPGRAD_MIRROR ? { mirror: process.env.STOPGRAD_MIRROR } : {}),
      onProgress: (progress) => {
        const { file, bytes, total } = progress;
        const megabytes = (value: number) => (value / 2 ** 20).toFixed(1);
        if (file !== current) {
          current = file;
          if (bar) bar.start(total, bytes, { file, done: megabytes(bytes), size: megabytes(total) });
          else note(`downloading ${file} (${megabytes(total)} MiB)`);
        } else {
          bar?.update(bytes, { done: megabytes(bytes) });
        }
      },
    });
    bar?.stop();
    finish(result, options);
  } catch (error) {
    bar?.stop();
    if (!abort.signal.aborted) throw error;
    const { message } = abort.signal.reason as Error;
    if (options.json) printJson({ error: message });
    note(message);
    process.exitCode = exitCodes.interrupted;
  } finally {
    process.off("SIGINT", onSignal);
  }
}
