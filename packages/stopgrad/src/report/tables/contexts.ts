// Which context paths a selection left in use.
import type { Comparison, Variant } from "../comparison.js";
import { nothing } from "../format.js";
import { type Cell, type Table, textCell } from "../table.js";

/** A row a variant and module that may be given context, where paths could be taken out of use. */
export function contextsTable(comparison: Comparison): Table {
  return {
    name: "context-paths",
    title: "Context paths that were selected",
    columns: [
      { title: "variant", align: "left", fields: ["variant"] },
      { title: "module", align: "left", fields: ["module"] },
      { title: "in use", align: "left", fields: ["used"] },
      { title: "out of use", align: "left", fields: ["unused"] },
    ],
    rows: comparison.variants.flatMap((variant) =>
      pathsOf(variant).map(({ module, used, unused }): Cell[] => [
        textCell(variant.label),
        textCell(module),
        listCell(used),
        listCell(unused),
      ]),
    ),
    notes: ["In brackets: in how many of the seeds, where they disagree."],
  };
}

/** The modules of a variant's runs, first to last, with paths as text. */
function pathsOf({ completed }: Variant): { module: string; used: string[]; unused: string[] }[] {
  const runs = completed.flatMap(({ record }) => (record.summary!.contexts ? [record.summary!.contexts] : []));
  const modules = [...new Set(runs.flatMap((run) => run.map(({ module }) => module)))];
  return modules.map((module) => {
    const found = runs.flatMap((run) => run.filter((one) => one.module === module));
    const list = (pick: "used" | "unused") => {
      const paths = [...new Set(found.flatMap((one) => one[pick]))];
      return paths.map((path) => {
        const seeds = found.filter((one) => one[pick].includes(path)).length;
        return seeds === found.length ? path : `${path} (${seeds}\u00a0of\u00a0${found.length})`;
      });
    };
    return { module, used: list("used"), unused: list("unused") };
  });
}

function listCell(paths: readonly string[]): Cell {
  const text = paths.length === 0 ? nothing : paths.join(", ");
  return { text, data: [paths.length === 0 ? null : text.replaceAll("\u00a0", " ")] };
}
