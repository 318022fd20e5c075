// Operators of libtorch's that `operator` refuses: its internals, which trust their callers. A wrong argument to one of
// them does not throw but reads memory that is not there, divides by zero or never returns, and takes the process along.
// The fuzz test calls all others, and found these. `{ unchecked: true }` calls them all the same.

/** Namespaces that are open. The others (`quantized`, `static_runtime`, `c10d`, …) hold parts of libtorch's own. */
const open: ReadonlySet<string> = new Set(["aten", "stopgrad"]);

/** Rules by name, the namespace left out, and what the operator does to deserve it. */
const rules: readonly (readonly [RegExp, string])[] = [
  // PyTorch's own mark of what is not its interface. `_unique2` and the `_foreach` family do check.
  [
    /^_(?!_|unique2$|foreach_\w+$|foreach_\w+\.\w*(Scalar|List)\w*$)/,
    "is an internal of libtorch's and does not check its arguments",
  ],
  [/_backward\w*(\.|$)/, "is the gradient of another one and trusts what that has checked"],
  [
    /^(slow|thnn|native|quantized|fbgemm|mkldnn|miopen|cudnn)_/,
    "is one implementation of another one, which checks for it",
  ],
  [/^special_\w+_polynomial_/, "takes time in proportion to the degree, without a limit"],
  [
    /^(lift|lift_fresh|dequantize|vander|linalg_vander)(\.|$)/,
    "can make a tensor hold its own graph, which is then never freed",
  ],
  [
    /^(align_tensors|batch_norm_update_stats|choose_qparams_optimized|max_unpool[23]d|rrelu_with_noise_?|to_sparse_bs[cr]|histogramdd)(\.|$)|^(rnn_tanh|rnn_relu|lstm|gru)\.data/,
    "reads memory that is not there when its arguments do not fit",
  ],
  [/^set_\.source/, "makes a tensor of memory that may be too small for it"],
];

/** Why `operator` refuses to call `name`, such as `aten::_cummax_helper`; null when it does not. */
export function refusalOf(name: string): string | null {
  const colons = name.indexOf("::");
  const namespace = name.slice(0, Math.max(colons, 0));
  if (!open.has(namespace)) return `belongs to ${namespace || "no namespace"}, not to ${[...open].join(" or ")}`;
  const own = name.slice(colons + 2);
  return rules.find(([pattern]) => pattern.test(own))?.[1] ?? null;
}
