// What differs between the variants and what does not.
import type { RunEnvironment } from "../../store/records.js";
import { type Comparison, flattenSettings, type Variant } from "../comparison.js";
import { nothing } from "../format.js";
import { type Cell, type Column, type Table, textCell } from "../table.js";

/** A row a setting that is not the same in all variants. */
export function differingSettingsTable(comparison: Comparison): Table {
  const { variants } = comparison;
  const flat = variants.map(describeVariant);
  const paths = mergedPaths(flat).filter(
    (path) => new Set(flat.map((settings) => settings.get(path) ?? nothing)).size > 1,
  );
  return {
    name: "settings-that-differ",
    title: "What differs between the variants",
    columns: [
      { title: "setting", align: "left", fields: ["setting"] },
      ...variants.map((variant): Column => ({ title: variant.label, align: "left", fields: [variant.label] })),
    ],
    rows: paths.map((path) => [textCell(path), ...flat.map((settings) => valueCell(settings.get(path)))]),
    notes: absentNote(paths.flatMap((path) => flat.map((settings) => settings.get(path)))),
  };
}

/** A row a setting or version that all variants share. */
export function sharedSettingsTable(comparison: Comparison): Table {
  const flat = comparison.variants.map(describeVariant);
  const first = flat[0] ?? new Map<string, string>();
  const shared = [...first].filter(([path, value]) => flat.every((settings) => settings.get(path) === value));
  return {
    name: "shared-settings",
    title: comparison.variants.length > 1 ? "Settings and versions all variants share" : "Settings and versions",
    columns: [
      { title: "setting", align: "left", fields: ["setting"] },
      { title: "value", align: "left", fields: ["value"] },
    ],
    rows: shared.map(([path, value]) => [textCell(path), valueCell(value)]),
    notes: absentNote(shared.map(([, value]) => value)),
  };
}

/** Settings and environment of a variant; several values where its runs differ in their environment. */
function describeVariant(variant: Variant): Map<string, string> {
  const flat = flattenSettings(variant.settings, nothing);
  const runs = variant.completed.length > 0 ? variant.completed : variant.drawn;
  const seeds = runs.map((run) => run.record.seed);
  if (seeds.length > 0) flat.set("seeds", seeds.join(", "));
  const widths = new Set(runs.flatMap((run) => run.record.summary?.matchedWidth ?? []));
  if (widths.size > 0) flat.set("model.width that matches the cost", [...widths].join(", "));
  const keys: [keyof RunEnvironment, string][] = [
    ["device", "device used"],
    ["threads", "threads"],
    ["stopgrad", "stopgrad version"],
    ["commit", "commit"],
    ["libtorch", "libtorch version"],
    ["blas", "BLAS"],
    ["node", "Node.js version"],
    ["platform", "platform"],
    ["cpu", "CPU"],
  ];
  for (const [key, title] of keys) {
    const values = new Set(runs.map((run) => run.record.environment?.[key]).filter((value) => value != null));
    if (values.size > 0) flat.set(title, [...values].join(", "));
  }
  return flat;
}

function valueCell(value: string | undefined): Cell {
  return { text: value ?? nothing, data: [value === undefined || value === nothing ? null : value] };
}

function absentNote(values: readonly (string | undefined)[]): string[] {
  return values.some((value) => value === undefined || value === nothing) ? [`${nothing}: not set.`] : [];
}

function mergedPaths(all: readonly Map<string, string>[]): string[] {
  return [...new Set(all.flatMap((settings) => [...settings.keys()]))];
}
