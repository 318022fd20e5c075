// Overrides on the command line, in Hydra's notation:
//
//   epochs=5                        set (the value is YAML: 5, [1, 2], true, null, {name: mlp, width: 16})
//   model.width=16                  set inside a section
//   +observe.probe.at=end           set; the plus of Hydra's "append" is allowed and needed nowhere but for a new variant
//   ~observe.probe                  take away (`~epochs=5` only if it is 5)
//   variants.e2e.partition=1        set in one variant
//   +variants.wide.model.width=32   a new variant
//
// They are laid over the file in order. One on a top-level setting acts like an edit of the top level: a variant that
// sets the same thing itself keeps its own value (`settings.ts` refuses an override that acts in no variant at all).
import { parseDocument } from "yaml";
import { mergeLayers, writeOut } from "./layers.js";
import { didYouMean } from "./suggest.js";
import {
  containsItself,
  depthReached,
  isTree,
  nest,
  sameValue,
  show,
  type Tree,
  valueAt,
  withKey,
  withoutKey,
} from "./tree.js";

export interface Override {
  /** As typed. */
  readonly text: string;
  readonly action: "set" | "remove";
  /** `variants`, the variant's name and so on for a setting of a variant. */
  readonly path: readonly string[];
  /** The value set; for `remove`, the value it must have, or undefined for any. */
  readonly value: unknown;
}

/** The top level without `variants`, and the variants, all written out. */
export interface Layers {
  readonly top: Tree;
  readonly variants: { readonly [name: string]: Tree };
}

/** Layers after an override, or why it cannot be applied. */
export type Overridden =
  | { readonly layers: Layers; readonly override: Override }
  | { readonly path: string; readonly message: string };

/** Applies one override. @param text - for example `model.width=16` */
export function applyOverride(layers: Layers, text: string): Overridden {
  const match = /^(\+\+|\+|~)?([^=]*)(=([\s\S]*))?$/.exec(text.trim());
  const prefix = match?.[1] ?? "";
  const key = match?.[2]?.trim() ?? "";
  const refuse = (message: string): Overridden => ({ path: key, message });

  if (key === "" || key.split(".").includes("")) {
    return refuse("expected key=value, such as epochs=5 or model.width=16, with a name on each side of every dot");
  }
  const written = match?.[4];
  if (written === undefined && prefix !== "~") return refuse("expected key=value, such as epochs=5; there is no =");
  if (written?.trim() === "")
    return refuse(`no value after =; write ${key}=null to unset it, or ${key}='' for an empty text`);
  let value: unknown;
  if (written !== undefined) {
    const document = parseDocument(written, { prettyErrors: false });
    const problem = document.errors[0] ?? document.warnings[0];
    if (problem) return refuse(`the value is not YAML: ${problem.message}`);
    try {
      value = document.toJS();
    } catch (error) {
      return refuse(`the value is not YAML: ${(error as Error).message}`);
    }
    if (containsItself(value)) return refuse("an anchor contains itself");
  }
  const path = splitKey(key, layers);
  const override: Override = { text, action: prefix === "~" ? "remove" : "set", path, value };
  return override.action === "remove" ? remove(layers, override, refuse) : set(layers, override, prefix, refuse);
}

/** Splits at dots, but keeps the name of a variant that has dots in it (`variants.lambda-0.1.partition`) together. */
function splitKey(key: string, layers: Layers): string[] {
  const rest = /^variants\.(.+)$/.exec(key)?.[1];
  if (rest === undefined) return key.split(".");
  const name = Object.keys(layers.variants)
    .filter((known) => rest === known || rest.startsWith(`${known}.`))
    .sort((a, b) => b.length - a.length)[0];
  if (name === undefined) return key.split(".");
  return ["variants", name, ...(rest === name ? [] : rest.slice(name.length + 1).split("."))];
}

function set(layers: Layers, override: Override, prefix: string, refuse: (message: string) => Overridden): Overridden {
  const { path, value } = override;
  const [first, name, ...rest] = path;
  if (first !== "variants") return lay(layers.top, path, (top) => ({ ...layers, top }));
  if (name === undefined) return refuse("expected variants.NAME.key=value");
  const variant = Object.hasOwn(layers.variants, name) ? layers.variants[name] : undefined;
  if (variant === undefined && prefix === "") {
    const known = Object.keys(layers.variants);
    const hint = didYouMean(name, known) || `; write +${path.join(".")}=... to add it`;
    return refuse(`unknown variant: ${name} (known: ${known.join(", ") || "none"})${hint}`);
  }
  if (rest.length === 0 && !isTree(value)) {
    return refuse(`expected a map of settings, got ${show(value)}; ~variants.${name} takes a variant away`);
  }
  return lay(variant ?? {}, rest, (changed) => ({
    ...layers,
    variants: withKey(layers.variants, name, changed) as Layers["variants"],
  }));

  function lay(layer: Tree, inside: readonly string[], done: (layer: Tree) => Layers): Overridden {
    for (let depth = 1; depth < inside.length; depth++) {
      const around = valueAt(layer, inside.slice(0, depth));
      const replaceable = around === undefined || around === null || isTree(around) || inside[0] === "partition";
      if (!replaceable) return refuse(`${inside.slice(0, depth).join(".")} is ${show(around)}, not a map of settings`);
    }
    const over = writeOut(nest(inside, value) as Tree);
    return { layers: done(mergeLayers(layer, over)), override };
  }
}

function remove(layers: Layers, override: Override, refuse: (message: string) => Overridden): Overridden {
  const { path, value } = override;
  const whole: Tree = { ...layers.top, variants: layers.variants };
  if (depthReached(whole, path) < path.length || valueAt(whole, path) === null) {
    return refuse(`cannot be taken away: it is not set${didYouMean(path.join("."), settingsIn(whole))}`);
  }
  const current = valueAt(whole, path);
  if (value !== undefined && !sameValue(current, value)) {
    return refuse(`not taken away: it is ${show(current)}, not ${show(value)}`);
  }
  const { variants, ...top } = cut(whole, path);
  return { layers: { top, variants: (variants ?? {}) as Layers["variants"] }, override };
}

function cut(tree: Tree, path: readonly string[]): Tree {
  const [key = "", ...rest] = path;
  return rest.length === 0 ? withoutKey(tree, key) : withKey(tree, key, cut(tree[key] as Tree, rest));
}

/** Every setting of a tree, as dotted keys. */
function settingsIn(tree: Tree, above = ""): string[] {
  return Object.entries(tree).flatMap(([key, value]) => {
    const name = `${above}${key}`;
    return isTree(value) ? [name, ...settingsIn(value, `${name}.`)] : [name];
  });
}
