// The fusions an experiment file can name. Adding one: a file that exports a `Fusion`, and a line here.
import { add } from "./add.js";
import { concatenate } from "./concatenate.js";
import type { Fusion } from "./fusion.js";
import { gated } from "./gated.js";

export const fusions = { add, concatenate, gated } satisfies Record<string, Fusion>;
export type FusionName = keyof typeof fusions;
