// What can be reproduced: papers, their tables and figures, and at which scales. Plain data and functions of recorded
// numbers: nothing here trains, and nothing imports torch.
import type { Check } from "./claims.js";
import type { Found } from "./found.js";

export const scales = ["smoke", "small", "paper"] as const;
/**
 * `smoke`: seconds, to see that it runs; its verdict says nothing. `small`: under an hour on two processors, with a
 * narrower network, fewer images and fewer epochs. `paper`: the paper's settings, as the file stands.
 */
export type Scale = (typeof scales)[number];

/** An accuracy that is published, in [0, 1]; with its standard deviation where that is too. */
export type Published = number | { readonly mean: number; readonly std: number };

/** One experiment file of an item. */
export interface Part {
  /** Kebab-case, for example `mnist`; the item's only part has the item's id. */
  readonly id: string;
  /** File name in the paper's folder. */
  readonly file: string;
  /** What is changed in the file, in the notation of the command line; at scale `paper` nothing but `always`. */
  readonly smoke: readonly string[];
  readonly small: readonly string[];
  /** Changed at every scale: for an item that is some columns of a larger table. */
  readonly always?: readonly string[];
}

/** A table or figure. */
export interface Item {
  /** Kebab-case, for example `table-3`. */
  readonly id: string;
  readonly title: string;
  /** What the paper says it shows, in words. */
  readonly claim: string;
  readonly parts: readonly Part[];
  /** Hours on two processors, estimated. */
  readonly hours: { readonly small: number; readonly paper: number };
  /** Other names → the part they mean, null for all parts. */
  readonly aliases?: { readonly [alias: string]: string | null };
  /** Accuracies that the paper gives, in [0, 1]: part → variant. What is not here is not known. */
  readonly published?: { readonly [part: string]: { readonly [variant: string]: Published } };
  /** The claim taken apart into what can be tested. Where runs are missing, its checks cannot be told. */
  judge(found: Found): Check[];
}

export interface Paper {
  /** Name of its folder in `papers/`. */
  readonly id: string;
  readonly title: string;
  readonly source: string;
  readonly items: readonly Item[];
  /** What its tables show of the test images, default accuracy. */
  readonly shows?: "accuracy" | "error";
  /** Whether peak memory and multiply-adds at inference stand beside it. */
  readonly costs?: boolean;
  /** Where published numbers are from, one sentence, where it is not the paper's own tables. */
  readonly publishedIn?: string;
}

/** Hours of `smoke`, every item. */
const SMOKE_HOURS = 0.02;

export function hoursAt(item: Item, scale: Scale): number {
  return scale === "smoke" ? SMOKE_HOURS : item.hours[scale];
}

/** What is laid over a part's file at a scale. */
export function overridesAt(part: Part, scale: Scale): readonly string[] {
  return [...(part.always ?? []), ...(scale === "paper" ? [] : part[scale])];
}
