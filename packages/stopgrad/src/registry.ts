// What every registry holds. A dataset, model, head, loss, rule, optimizer or measure is one file that exports one
// entry, and one line in its folder's index.ts. Validation, `--help`, docs and the shared tests read the registries.
import type { z } from "zod";

/** One named thing an experiment file can ask for. */
export interface RegistryEntry {
  /** One line, shown in `--help` and in reports. */
  readonly summary: string;
  /** Where it comes from: paper and equation, or the original data's site. */
  readonly source?: string;
  /** The options it takes beside its name, as a zod object (strict; every key with a default or optional). */
  readonly options: z.ZodObject;
}

/** Name in experiment files → entry. */
export type Registry<E extends RegistryEntry = RegistryEntry> = Readonly<Record<string, E>>;

/** An entry by name, after validation has made sure that there is one. */
export function entryOf<R extends object>(registry: R, name: string): R[keyof R] {
  if (!Object.hasOwn(registry, name)) throw new Error(`no entry ${name}; known: ${Object.keys(registry).join(", ")}`);
  return registry[name as keyof R];
}
