// The heads an experiment file can name. Adding one: a file that exports a `Head`, and a line here.
import { auxiliary } from "./auxiliary.js";
import { conv } from "./conv.js";
import { conv2 } from "./conv2.js";
import type { Head } from "./head.js";
import { linear } from "./linear.js";
import { mlp } from "./mlp.js";
import { none } from "./none.js";
import { projection } from "./projection.js";

export { type AuxiliaryHeadSettings, parseHeadCode } from "./auxiliary-code.js";
export { type Head, type HeadContext, lastMapOf } from "./head.js";
export { POOLED_SIZE, type Pooling, pooledFlatten, poolingFor } from "./pooling.js";

export const heads = { none, linear, mlp, conv, conv2, projection, auxiliary } satisfies Record<string, Head>;
export type HeadName = keyof typeof heads;
