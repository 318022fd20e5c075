// Which contexts a node combines: the slot rule of arXiv 2312.07636's released code.
//
// A node has a slot for each of the nearest earlier combined features, nearest first. Where no encoder looks at the
// images, they stand before the first node as if they were a feature; slots before that do not exist. Loads no tensors.
import type { ContextTopology } from "./code.js";

/**
 * What a path of a node starts from: the images through an encoder of their own; the images in the place of a feature;
 * or the combined feature of an earlier node, numbered from 0.
 */
export type Source = "input-encoder" | "image" | { readonly feature: number };

/**
 * The paths of a node, in the order in which their contexts are added: the encoder of the images, then slot 0, 1, …
 * @param node - from 0: the one behind the first module
 */
export function pathsOf({ fromInput, previousModules }: ContextTopology, node: number): Source[] {
  const paths: Source[] = fromInput ? ["input-encoder"] : [];
  for (let slot = 0; slot < previousModules; slot++) {
    const feature = node - 1 - slot;
    if (feature >= 0) paths.push({ feature });
    else if (feature === -1 && !fromInput) paths.push("image");
  }
  return paths;
}

/** What a path is called in tables: `input`, `image`, or `module 3` for what the third module's node gives. */
export function pathName(source: Source): string {
  if (source === "input-encoder") return "input";
  return source === "image" ? source : `module ${source.feature + 1}`;
}
