// The cut lists that arXiv 2101.10832 and 2312.07636 ship for ResNet-32 and ResNet-110 (papers.md, section 6). A cut is
// (group, block) of a module's last block, the stem (0,0).

/** Names of the stages of ResNet-(6n + 2). */
export function stageNames(depth: number): string[] {
  const blocks = (depth - 2) / 6;
  const group = (number: number) => Array.from({ length: blocks }, (_, at) => `layer${number}.${at}`);
  return ["stem", ...group(1), ...group(2), ...group(3)];
}

/** Modules of as many blocks as can be. */
export const publishedEqualCuts = [
  { depth: 32, modules: 2, cuts: "(2,1)" },
  { depth: 32, modules: 3, cuts: "(1,4) (2,4)" },
  { depth: 32, modules: 4, cuts: "(1,2) (2,1) (3,0)" },
  { depth: 32, modules: 8, cuts: "(1,0) (1,2) (1,4) (2,1) (2,3) (3,0) (3,2)" },
  {
    depth: 32,
    modules: 16,
    cuts: "(0,0) (1,0) (1,1) (1,2) (1,3) (1,4) (2,0) (2,1) (2,2) (2,3) (2,4) (3,0) (3,1) (3,2) (3,3)",
  },
  { depth: 110, modules: 2, cuts: "(2,8)" },
  { depth: 110, modules: 3, cuts: "(1,17) (2,17)" },
  { depth: 110, modules: 4, cuts: "(1,11) (2,7) (3,3)" },
  { depth: 110, modules: 8, cuts: "(1,4) (1,11) (2,0) (2,7) (2,14) (3,3) (3,10)" },
  {
    depth: 110,
    modules: 16,
    cuts: "(1,1) (1,4) (1,7) (1,10) (1,13) (1,16) (2,1) (2,4) (2,7) (2,11) (2,15) (3,1) (3,5) (3,9) (3,13)",
  },
] as const;

/** Modules that store as much as each other, by the authors' lists. */
export const publishedMemoryCuts = [
  { depth: 32, data: "CIFAR-10", cuts: "(1,3)", sizes: [5, 11] },
  { depth: 32, data: "CIFAR-10", cuts: "(1,2)(1,4)(2,2)", sizes: [4, 2, 3, 7] },
  { depth: 32, data: "CIFAR-10", cuts: "(1,1)(1,2)(1,3)(2,1)(2,2)(3,1)(3,2)", sizes: [3, 1, 1, 3, 1, 4, 1, 2] },
  { depth: 110, data: "CIFAR-10", cuts: "(1,14)", sizes: [16, 39] },
  { depth: 110, data: "CIFAR-10", cuts: "(1,9)(2,2)", sizes: [11, 11, 33] },
  { depth: 110, data: "CIFAR-10", cuts: "(1,6)(1,14)(2,8)", sizes: [8, 8, 12, 27] },
  { depth: 110, data: "STL-10", cuts: "(1,14)", sizes: [16, 39] },
  { depth: 110, data: "STL-10", cuts: "(1,8)(2,1)", sizes: [10, 11, 34] },
  { depth: 110, data: "STL-10", cuts: "(1,6)(1,14)(2,8)", sizes: [8, 8, 12, 27] },
] as const;
