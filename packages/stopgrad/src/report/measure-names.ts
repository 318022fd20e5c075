// Names of measures in charts and tables.

/** `effectiveRank` → `effective rank`, `ckaXZ` → `CKA(X, Z)`. */
export function inWords(key: string): string {
  const pair = /^(.+)(X|Y)Z$/.exec(key);
  if (pair) return `${words(pair[1]!)}(${pair[2]}, Z)`;
  return words(key);
}

/** Keys that say too little by themselves. */
const WHOLE: Readonly<Record<string, string>> = {
  snn: "soft nearest neighbour loss",
  l: "L of the population",
  lbar: "Lbar",
  j: "J",
  bound: "bound on L",
  slack: "slack of the bound",
};

/** Words with capitals of their own. */
const SPELLED: Readonly<Record<string, string>> = {
  cka: "CKA",
  hsic: "HSIC",
  nhsic: "nHSIC",
  ksg: "KSG",
  mine: "MINE",
  infonce: "InfoNCE",
  "info nce": "InfoNCE",
  knn: "nearest neighbours",
  mlp: "MLP",
  nc1: "NC1",
  nc2: "NC2",
};

/** `effective rank` → `Effective rank`; `nHSIC` stays. */
export function capital(text: string): string {
  return /^[a-z][A-Z]/.test(text) ? text : text.slice(0, 1).toUpperCase() + text.slice(1);
}

/** A measure of a user may be called `constructor`. */
function own(names: Readonly<Record<string, string>>, key: string): string | undefined {
  return Object.hasOwn(names, key) ? names[key] : undefined;
}

function words(key: string): string {
  const spaced = key.replaceAll(/([a-z0-9])([A-Z])/g, "$1 $2").toLowerCase();
  const whole = own(WHOLE, spaced) ?? own(SPELLED, spaced);
  if (whole !== undefined) return whole;
  return spaced
    .split(" ")
    .map((word) => own(SPELLED, word) ?? word)
    .join(" ");
}
