// From what is written in a file to layers that can be validated, and back from a mistake to the place where it is
// written: the line of the file, or the override on the command line.
import { type Elsewhere, type Mistake, mistakeAt, unknownKey } from "./check.js";
import type { SettingsDocument } from "./document.js";
import { mergeLayers, writeOut } from "./layers.js";
import type { Layers, Override } from "./overrides.js";
import { nearest } from "./suggest.js";
import {
  depthReached,
  isTree,
  nest,
  type Path,
  sameValue,
  show,
  type Tree,
  valueAt,
  withKey,
  withoutKey,
} from "./tree.js";

/** Splits a file into its top level and its variants, short forms written out. */
export function splitLayers(tree: Tree): { layers: Layers; mistakes: Mistake[] } {
  const { variants = null, ...top } = tree;
  const mistakes: Mistake[] = [];
  const layers: [string, Tree][] = [];
  if (variants !== null && !isTree(variants)) {
    const message = `expected a map of variants, such as { e2e: { partition: 1 } }, got ${show(variants)}`;
    mistakes.push(mistakeAt(["variants"], message));
  }
  for (const [name, layer] of isTree(variants) ? Object.entries(variants) : []) {
    if (name.trim() === "") mistakes.push(mistakeAt(["variants", name], "a variant needs a name", "key"));
    else if (layer === null || isTree(layer)) layers.push([name, writeOut(layer ?? {})]);
    else mistakes.push(mistakeAt(["variants", name], `expected a map of settings, got ${show(layer)}`));
  }
  return { layers: { top: writeOut(top), variants: Object.fromEntries(layers) }, mistakes };
}

/** A key that was read as another one: where it stands in the layer that is validated, and where it is written. */
export interface Respelt {
  readonly meant: Path;
  readonly written: Path;
}

/** A layer with known keys only, what was wrong with the others, and which of them were read as known ones. */
export interface CheckedLayer {
  readonly tree: Tree;
  readonly mistakes: readonly Mistake[];
  readonly respelt: readonly Respelt[];
}

/**
 * Names the unknown keys of one layer. A misspelt one whose meaning is clear is then read as what it was meant to be,
 * so that mistakes inside it are named in the same go and nothing is called missing.
 *
 * @param onlyAtTop - keys that are known, but not in a variant
 */
export function checkKeys(
  layer: Tree,
  known: readonly string[],
  onlyAtTop: readonly string[],
  elsewhere: Elsewhere,
): CheckedLayer {
  const mistakes: Mistake[] = [];
  const respelt: Respelt[] = [];
  let tree = layer;
  for (const key of Object.keys(layer).filter((key) => !known.includes(key))) {
    const value = layer[key];
    tree = withoutKey(tree, key);
    if (onlyAtTop.includes(key)) {
      mistakes.push(mistakeAt([key], "can only be set at the top level, not in a variant", "key"));
      continue;
    }
    mistakes.push(unknownKey([key], known, elsewhere));
    const meant = nearest(key, known);
    const belongsElsewhere = elsewhere(key)?.endsWith(`.${key}`);
    if (meant === undefined || meant === "variants" || belongsElsewhere) continue;
    const present = Object.hasOwn(tree, meant) ? tree[meant] : undefined;
    if (present === undefined) {
      tree = writeOut(withKey(tree, meant, value));
      respelt.push({ meant: [meant], written: [key] });
    } else if (isTree(present) && isTree(value)) {
      // Both stand there: only what the misspelt one adds is looked at.
      const added = Object.entries(value).filter(([inner]) => !Object.hasOwn(present, inner));
      tree = withKey(tree, meant, { ...present, ...Object.fromEntries(added) });
      for (const [inner] of added) respelt.push({ meant: [meant, inner], written: [key, inner] });
    }
  }
  return { tree, mistakes, respelt };
}

/** A path in a checked layer → the path as it is written there. */
export function unrespell(layer: CheckedLayer, path: Path): Path {
  const found = layer.respelt.find(({ meant }) => meant.every((part, i) => path[i] === part));
  return found ? [...found.written, ...path.slice(found.meant.length)] : path;
}

/** A path as it is written in the file: `model.name` of `model: lenet5` is written as `model`. */
export function asWritten(tree: Tree, path: Path): Path {
  const around = path.slice(0, -1);
  return path.at(-1) === "name" && typeof valueAt(tree, around) === "string" ? around : path;
}

/** An override that was applied, with the top level before and after it. */
export interface Applied {
  readonly override: Override;
  readonly before: Tree;
  readonly after: Tree;
}

/** The override that wrote a setting, or the setting's line and column in the file. */
export function locate(
  document: SettingsDocument,
  applied: readonly Applied[],
  path: Path,
  part: "key" | "value",
): string {
  const last = applied.findLast(({ override }) => {
    if (override.action === "remove") return false;
    if (override.path.every((key, i) => path[i] === key)) {
      const below = path.slice(override.path.length);
      const isNested = isTree(override.value) || Array.isArray(override.value);
      return !isNested || depthReached(override.value, below) === below.length;
    }
    const isAbove = path.every((key, i) => override.path[i] === key);
    return isAbove && depthReached(document.tree, path) < path.length;
  });
  return last ? `override ${last.override.text}` : document.locate(path, part);
}

/**
 * Whether an override of the top level acts in none of these variants, because each sets the same thing itself and
 * to something else.
 */
export function isShadowed({ override, before, after }: Applied, variants: readonly Tree[]): boolean {
  if (override.action === "remove" || override.path[0] === "variants" || variants.length === 0) return false;
  const asked = writeOut(nest(override.path, override.value) as Tree);
  const effects = variants.map((variant) => {
    const merged = mergeLayers(after, variant);
    const acts = !sameValue(merged, mergeLayers(before, variant));
    return { acts, holdsAnyway: sameValue(mergeLayers(merged, asked), merged) };
  });
  return !effects.some(({ acts }) => acts) && effects.some(({ holdsAnyway }) => !holdsAnyway);
}
