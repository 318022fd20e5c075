// The code by which arXiv 2312.07636 names where a module's context comes from: `R1E` is the previous module and the
// input, `E` the input alone, `R4` the four previous modules, `R0` none. Loads no tensors, so that settings can be read
// anywhere.

/** Where the context of every node comes from. */
export interface ContextTopology {
  /** An encoder of the images at every node. */
  readonly fromInput: boolean;
  /** How many of the nearest earlier combined features each node sees; 0: none. */
  readonly previousModules: number;
}

/**
 * `R1E`, `r4`, `E`, `ContSup[R2E]` → the topology; case and blanks around it do not matter.
 * @returns null for no context (`none`, `R0`); undefined for what is no such code
 */
export function parseContextCode(code: string): ContextTopology | null | undefined {
  const written = code.trim();
  const wrapped = /^ContSup\s*\[(.*)\]$/i.exec(written);
  const bare = wrapped ? wrapped[1]!.trim() : written;
  if (/^(none|R0)$/i.test(bare)) return null;
  const found = /^(?:R([1-9]\d{0,2}))?(E)?$/i.exec(bare);
  if (!found || bare === "") return undefined;
  return { fromInput: found[2] !== undefined, previousModules: Number(found[1] ?? 0) };
}

/** The other way round, for tables: `R1E`; `R0` where there is no context. */
export function contextCode(topology: ContextTopology | null): string {
  if (!topology) return "R0";
  const { fromInput, previousModules } = topology;
  if (previousModules === 0) return fromInput ? "E" : "R0";
  return `R${previousModules}${fromInput ? "E" : ""}`;
}
