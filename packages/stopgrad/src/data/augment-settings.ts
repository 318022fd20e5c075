// What `data.augment` of an experiment file says: schema, type, and the shape of the images that a network is trained on.
// Knows nothing of tensors; augmentation.ts does what is written here. Values of `preset: contrastive`: the two views of
// supervised contrastive learning (arXiv 2004.11362) as arXiv 2402.09050 uses them on CIFAR.
import { z } from "zod";

/** Random parts of an image, resized to a square. */
export interface ResizedCropSettings {
  /** Side of the result in pixels. */
  readonly size: number;
  /** Area of the part over the image's, drawn uniformly between the two; in (0, 1]. */
  readonly scale: readonly [number, number];
  /** Width over height of the part, its logarithm drawn uniformly between the two's. */
  readonly ratio: readonly [number, number];
  /** Side to which the result is resized once more, so that a network sees images of that size; null: it is not. */
  readonly resizeTo: number | null;
}

/** Random changes of colour: factors are drawn from [max(0, 1 − x), 1 + x], the hue's shift from [−hue, hue] turns. */
export interface JitterSettings {
  readonly brightness: number;
  readonly contrast: number;
  readonly saturation: number;
  /** In [0, 0.5]; 1 is once round the colour circle. */
  readonly hue: number;
  /** Of an image being changed at all. */
  readonly probability: number;
}

/** How training images are changed at random, each on its own. Crop, flip, jitter and grey come in this order. */
export interface AugmentSettings {
  /** Mirror left and right with probability 1/2. */
  readonly flip: boolean;
  /** Pads by so many pixels on every side, with black (0) or the image mirrored at its edges, and cuts the size out again. */
  readonly crop: { readonly padding: number; readonly mode: "black" | "reflect" } | null;
  readonly resizedCrop: ResizedCropSettings | null;
  readonly jitter: JitterSettings | null;
  /** Probability of an image losing its colours. */
  readonly grey: number;
  /** Augmented copies of each image in a batch; null: as many as the loss compares. */
  readonly views: 1 | 2 | null;
}

const positive = z.int().positive();
const probability = z.number().min(0).max(1);
const strength = z.number().nonnegative();

/** Two numbers in ascending order. */
function range(bound: z.ZodNumber) {
  return z.tuple([bound, bound]).superRefine(([from, to], context) => {
    if (from <= to) return;
    const message = `expected the smaller number first, got [${from}, ${to}]; write [${to}, ${from}]`;
    context.addIssue({ code: "custom", message });
  });
}

const resizedCrop = z.object({
  size: positive.default(28),
  scale: range(z.number().positive().max(1)).default([0.2, 1]),
  ratio: range(z.number().positive()).default([3 / 4, 4 / 3]),
  resizeTo: positive.nullable().default(null),
});

const jitter = z.object({
  brightness: strength.default(0.4),
  contrast: strength.default(0.4),
  saturation: strength.default(0.4),
  hue: z.number().min(0).max(0.5).default(0.1),
  probability: probability.default(0.8),
});

/** What a preset sets where nothing else is said. */
const presets = {
  contrastive: { flip: true, resizedCrop: resizedCrop.parse({}), jitter: jitter.parse({}), grey: 0.2 },
} satisfies Record<string, Partial<AugmentSettings>>;

/**
 * The map `data.augment`; its output has every key and no `preset`. A preset's parts are changed by writing them, and
 * switched off by `flip: false`, `grey: 0` or `jitter: { probability: 0 }`.
 */
export const augmentSettings = z
  .object({
    preset: z.enum(Object.keys(presets) as (keyof typeof presets)[]).optional(),
    flip: z.boolean().optional(),
    crop: z
      .object({ padding: positive, mode: z.enum(["black", "reflect"]).default("black") })
      .nullable()
      .default(null),
    resizedCrop: resizedCrop.nullable().default(null),
    jitter: jitter.nullable().default(null),
    grey: probability.optional(),
    views: z
      .union([z.literal(1), z.literal(2)])
      .nullable()
      .default(null),
  })
  .superRefine(({ preset, crop, resizedCrop }, context) => {
    if (crop === null || (resizedCrop === null && preset === undefined)) return;
    const other = resizedCrop === null ? `preset: ${preset}, which has a resizedCrop` : "resizedCrop";
    const message = `cuts images to their own size and cannot be combined with ${other}; leave one of them out`;
    context.addIssue({ code: "custom", path: ["crop"], message });
  })
  .transform(({ preset, flip, crop, resizedCrop, jitter, grey, views }): AugmentSettings => {
    const base: Partial<AugmentSettings> = preset === undefined ? {} : presets[preset];
    return {
      flip: flip ?? base.flip ?? false,
      crop,
      resizedCrop: resizedCrop ?? base.resizedCrop ?? null,
      jitter: jitter ?? base.jitter ?? null,
      grey: grey ?? base.grey ?? 0,
      views,
    };
  });

/**
 * Shape of the images that a network is trained on. Evaluation sees the data's own shape.
 *
 * @param shape - of the data's images, `[C, H, W]`
 * @returns `[C, h, w]`
 */
export function trainingShape(
  augment: { readonly resizedCrop?: ResizedCropSettings | null },
  shape: readonly number[],
): [channels: number, height: number, width: number] {
  const [channels = 0, height = 0, width = 0] = shape;
  if (!augment.resizedCrop) return [channels, height, width];
  const side = augment.resizedCrop.resizeTo ?? augment.resizedCrop.size;
  return [channels, side, side];
}

/**
 * What is impossible with images of this shape, in words, or null: `crop.padding` for mirrored padding that is wider than
 * the image, and colours that images of neither one nor three channels do not have.
 *
 * @param shape - of the data's images, `[C, H, W]`
 */
export function impossibleFor(
  augment: Partial<AugmentSettings>,
  shape: readonly number[],
): { readonly path: readonly string[]; readonly message: string } | null {
  const [channels = 0, height = 0, width = 0] = shape;
  const { crop, jitter, grey } = augment;
  const widest = Math.min(height, width) - 1;
  if (crop?.mode === "reflect" && crop.padding > widest) {
    const message = `expected at most ${widest} for images of ${height}x${width} mirrored at their edges, got ${crop.padding}`;
    return { path: ["crop", "padding"], message };
  }
  if ((jitter || grey) && channels !== 1 && channels !== 3) {
    const message = `changes colours, which needs images of 1 or 3 channels, got ${channels}`;
    return { path: [jitter ? "jitter" : "grey"], message };
  }
  return null;
}
