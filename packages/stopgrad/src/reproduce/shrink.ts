// How an experiment is made smaller, in the notation of the command line.

/** Where the paper's rate falls, as parts of its 400 epochs. */
const MILESTONES = [200, 300, 350, 375].map((epoch) => epoch / 400);

/** Epochs, and the milestones of the rate at the same parts of them. */
export function epochs(count: number): string[] {
  const milestones = [...new Set(MILESTONES.map((part) => Math.round(part * count)))].filter(
    (epoch) => epoch > 0 && epoch < count,
  );
  const schedule = milestones.length === 0 ? "" : `.milestones=[${milestones.join(",")}]`;
  return [`epochs=${count}`, `optimizer.schedule${schedule || "=null"}`];
}

/** Epochs of a cosine, and of its warm-up. */
export function cosineEpochs(count: number, warmup: number): string[] {
  return [`epochs=${count}`, `optimizer.schedule.warmup=${warmup}`];
}

/** Images of each split. */
export function images(train: number, test: number): string[] {
  return [`data.train=${train}`, `data.test=${test}`];
}

export function seeds(...list: number[]): string[] {
  return [`seeds=[${list.join(",")}]`];
}

/** Variants that are left out. */
export function without(...variants: string[]): string[] {
  return variants.map((variant) => `~variants.${variant}`);
}

/** Variants that have epochs and a schedule of their own at the paper's scale take the common ones. */
export function commonEpochs(...variants: string[]): string[] {
  return variants.flatMap((variant) => [`~variants.${variant}.epochs`, `~variants.${variant}.optimizer`]);
}

/** Equal weights of decoder and label, where data and network are none that weights are published for. */
export function equalWeights(...variants: string[]): string[] {
  const weights = "{first: {reconstruction: 1, label: 1}}";
  return variants.map((variant) => `variants.${variant}.objective.reconstruction={weights: ${weights}}`);
}

/** nHSIC on one small batch. */
export const smallestNhsic = ["observe.nhsic.batch=32", "observe.nhsic.batches=1"];
/** A probe on as few images as the smoke test has. */
export const smallestProbe = ["observe.probe.train=64"];

/**
 * Seconds: 64 drawn images, one epoch, one seed.
 * @param images - `colour` is 3x32x32, `grey` 1x28x28
 */
export function smoke(images: "colour" | "grey", ...more: (string | readonly string[])[]): string[] {
  const colour = images === "colour";
  return [
    `data={name: glyphs, colour: ${colour}, train: 64, test: 64, batch: 32}`,
    ...epochs(1).slice(0, 1),
    ...seeds(1),
    ...more.flat(),
  ];
}
