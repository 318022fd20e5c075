// Bilinear resize of feature maps in which corner pixels keep their values.
//
// On a GPU the gradient of libtorch's own sums in whatever order its threads come, so that two runs differ in their last
// bits. Resizing is linear along each side, and there it is two matrix products, which always sum in one order. On the
// CPU libtorch's own gives the same bits each time and is up to four times faster.
import { eye, interpolate, scope, type Tensor } from "@stopgrad/torch";

/** `[N, C, h, w]` → `[N, C, height, width]`; the same tensor where it has that size. */
export function resize(features: Tensor, height: number, width: number): Tensor {
  if (features.size(2) === height && features.size(3) === width) return features;
  if (features.device !== "cpu") return resizeByProducts(features, height, width);
  return interpolate(features, { size: [height, width], mode: "bilinear", alignCorners: true });
}

/** The same as products A_hᵀ X A_w of each map X `[h, w]` with the parts that old pixels have in new ones. */
export function resizeByProducts(features: Tensor, height: number, width: number): Tensor {
  return scope(() => {
    const rows = features.matmul(parts(features, 3, width)); // [N, C, h, width]
    return parts(features, 2, height).transpose(0, 1).matmul(rows); // [N, C, height, width]
  });
}

/** Along one side: `[from, to]`, the part of each old pixel in each new one, of the features' type. */
function parts(features: Tensor, side: 2 | 3, to: number): Tensor {
  const each = eye(features.size(side), { device: features.device }).unsqueeze(0); // [1, from, from]
  const resized = interpolate(each, { size: to, mode: "linear", alignCorners: true }).squeeze(0);
  return resized.to(features.dtype);
}
