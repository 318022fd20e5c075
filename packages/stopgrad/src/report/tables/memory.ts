// Where the memory of a training step goes: what each variant needs in all, and what each of its modules stores.
import { summariseKnown } from "../../statistics/index.js";
import type { MemorySummary, ModuleMemory } from "../../store/records.js";
import type { Comparison, Variant } from "../comparison.js";
import { byteUnit, formatFixed, nothing, type Unit } from "../format.js";
import { type Cell, type Column, type Table, textCell } from "../table.js";

/** What a module stores between its forward and its backward pass. */
export const memoryParts = ["activations", "head", "context", "decoder"] as const satisfies (keyof ModuleMemory)[];
export type MemoryPartName = (typeof memoryParts)[number];

/** A variant's memory; of its first run that has it: it hardly depends on the seed. Null where no run has it. */
export function memoryOf({ completed }: Variant): MemorySummary | null {
  const all = completed.map(({ record }) => record.summary!.memory);
  return all.find((memory) => memory != null && memory.modules.length > 0) ?? null;
}

/** The module that needs most while it learns. */
export function largestModule({ modules }: MemorySummary): ModuleMemory {
  return modules.reduce((largest, module) => (module.peak > largest.peak ? module : largest));
}

/** The parts that any module of any variant has something of, activations first. */
export function partsIn(memories: readonly (MemorySummary | null)[]): MemoryPartName[] {
  const modules = memories.flatMap((memory) => memory?.modules ?? []);
  return memoryParts.filter((part) => part === "activations" || modules.some((module) => module[part] > 0));
}

/** What is alive for a while only: maps on their way, what is computed again, gradients of features. */
function passing(module: ModuleMemory): number {
  return Math.max(0, module.peak - memoryParts.reduce((sum, part) => sum + module[part], 0));
}

/** A row a variant: peak of a step, what is there all the time, and its largest module; no rows where no run has it. */
export function memoryTable(comparison: Comparison): Table {
  const all = comparison.variants.map((variant) => ({
    variant,
    peak: summariseKnown(variant.completed.map(({ record }) => record.summary!.peakBytes))?.mean ?? null,
    memory: memoryOf(variant),
  }));
  const known = all.some(({ memory }) => memory !== null);
  const parts = partsIn(all.map(({ memory }) => memory));
  const unit = byteUnit(Math.max(0, ...all.map(({ peak }) => peak ?? 0)));
  const rows = all.map(({ variant, peak, memory }): Cell[] => {
    const largest = memory && largestModule(memory);
    const networks = memory && memory.parameters + memory.heads + memory.contexts;
    return [
      textCell(variant.label),
      bytesCell(peak, unit),
      bytesCell(networks, unit),
      bytesCell(memory?.gradients ?? null, unit),
      bytesCell(memory?.optimizer ?? null, unit),
      { text: largest?.module ?? nothing, data: [largest?.module ?? null] },
      bytesCell(largest?.peak ?? null, unit),
      ...parts.map((part) => bytesCell(largest?.[part] ?? null, unit)),
      bytesCell(largest && passing(largest), unit),
    ];
  });
  return {
    name: "memory",
    title: "Where the memory goes",
    columns: [
      { title: "variant", align: "left", fields: ["variant"] },
      bytesColumn("peak of a step", unit, "peakBytes"),
      bytesColumn("parameters", unit, "parameterBytes"),
      bytesColumn("gradients", unit, "gradientBytes"),
      bytesColumn("optimizer", unit, "optimizerBytes"),
      { title: "largest module", align: "left", fields: ["largestModule"] },
      bytesColumn("its peak", unit, "largestModulePeakBytes"),
      ...parts.map((part) => bytesColumn(part, unit, `largestModule${capitalised(part)}Bytes`)),
      bytesColumn("passing", unit, "largestModulePassingBytes"),
    ],
    rows: known ? rows : [],
    notes: [
      "Peak of a step: most bytes of live tensors, mean over seeds. Parameters: of all networks, heads and contexts among " +
        "them, with running statistics. The largest module is the one with the highest peak: most bytes that were alive " +
        "while it learned, beyond what was before it; the columns after it are what of that it stores for its backward " +
        "pass: its stages' activations, and what its head with the loss, its context and its decoder store. Passing: the " +
        "rest of its peak, alive for a while only: maps on their way, activations of contexts and of checkpointed " +
        "segments while they are computed again, gradients of features.",
    ],
  };
}

/** A row a module; no rows where no variant has several. */
export function moduleMemoryTable(comparison: Comparison): Table {
  const all = comparison.variants.flatMap((variant) => {
    const memory = memoryOf(variant);
    return memory === null ? [] : [{ variant, memory }];
  });
  const several = all.some(({ memory }) => memory.modules.length > 1);
  const parts = partsIn(all.map(({ memory }) => memory));
  const unit = byteUnit(Math.max(0, ...all.flatMap(({ memory }) => memory.modules.map(({ peak }) => peak))));
  const rows = all.flatMap(({ variant, memory }) => {
    const largest = largestModule(memory);
    return memory.modules.map((module): Cell[] => [
      textCell(variant.label),
      textCell(module.module),
      ...parts.map((part) => bytesCell(module[part], unit)),
      bytesCell(passing(module), unit),
      { ...bytesCell(module.peak, unit), ...(module === largest && memory.modules.length > 1 ? { best: true } : {}) },
    ]);
  });
  return {
    name: "memory-of-modules",
    title: "Memory of each module",
    columns: [
      { title: "variant", align: "left", fields: ["variant"] },
      { title: "module", align: "left", fields: ["module"] },
      ...parts.map((part) => bytesColumn(part, unit, `${part}Bytes`)),
      bytesColumn("passing", unit, "passingBytes"),
      bytesColumn("peak", unit, "peakBytes"),
    ],
    rows: several ? rows : [],
    notes: [
      "What each module stores between its forward and its backward pass, what is alive for a while only (passing), and the " +
        "most that was alive while it learned. In bold: the module that decides the variant's peak.",
    ],
  };
}

function bytesColumn(title: string, unit: Unit, field: string): Column {
  return { title, unit: unit.name, align: "right", fields: [field] };
}

function bytesCell(bytes: number | null, unit: Unit): Cell {
  if (bytes === null || !Number.isFinite(bytes)) return { text: nothing, data: [null] };
  return { text: bytes === 0 ? "0" : formatFixed(bytes / unit.per, bytes / unit.per < 10 ? 2 : 1), data: [bytes] };
}

function capitalised(word: string): string {
  return word[0]!.toUpperCase() + word.slice(1);
}
