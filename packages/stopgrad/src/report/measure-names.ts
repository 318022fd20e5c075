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

function words(key: string): string {
  const spaced = key.replaceAll(/([a-z0-9])([A-Z])/g, "$1 $2").toLowerCase();
  const whole = WHOLE[spaced] ?? SPELLED[spaced];
  if (whole !== undefined) return whole;
  return spaced
    .split(" ")
    .map((word) => SPELLED[word] ?? word)
    .join(" ");
}
