// Decompositions by what they are: their products, orthogonality and order. Signs of vectors are libtorch's affair.
import { describe, expect, it } from "vitest";
import * as torch from "../../src/index.js";
import {
  Generator,
  grad,
  linalgEigh,
  linalgQr,
  linalgSvd,
  matmul,
  randn,
  scope,
  type Tensor,
} from "../../src/index.js";
import { allClose } from "../support/close.js";
import { type Encoded, readOperatorCases, valuesOf } from "../support/fixtures.js";

const generator = new Generator(3);
const matrix = (...shape: number[]) => randn(shape, { dtype: "float64", generator });
const tiny = { relative: 1e-10, absolute: 1e-11 };
const adjoint = (m: Tensor) => m.transpose(-1, -2);

function expectSame(actual: Tensor, expected: Tensor): void {
  expect(actual.shape).toEqual(expected.shape);
  allClose(actual.toNumbers(), expected.toNumbers(), tiny);
}

function expectOrthonormal(columns: Tensor): void {
  const size = columns.size(-1);
  expectSame(matmul(adjoint(columns), columns), torch.eye(size, { dtype: "float64" }).expand([columns.size(0), size, size])); // biome-ignore format: one line
}

describe("decompositions", () => {
  it("give values that PyTorch gives", () => {
    scope(() => {
      const cases = readOperatorCases();
      const figures = (name: string, at: number) => (cases[name]![at]!.result as Encoded[]).map(valuesOf);
      const given = (name: string) => cases[name]![0]!.args[0] as Encoded;
      const load = (name: string) => torch.tensor(Float64Array.from(valuesOf(given(name))), { shape: given(name).s });
      allClose(linalgEigh(load("linalgEigh"))[0].toNumbers(), figures("linalgEigh", 0)[0]!, tiny);
      allClose(linalgSvd(load("linalgSvd"))[1].toNumbers(), figures("linalgSvd", 0)[1]!, tiny);
      const size = (numbers: number[]) => numbers.map(Math.abs);
      allClose(size(linalgQr(load("linalgQr"))[1].toNumbers()), size(figures("linalgQr", 0)[1]!), tiny);
    });
  });

  it("eigh: V diag(λ) Vᵀ, ascending", () => {
    scope(() => {
      const m = matrix(2, 4, 4);
      const symmetric = m.add(adjoint(m));
      const [values, vectors] = linalgEigh(symmetric);
      expectSame(matmul(vectors.mul(values.unsqueeze(-2)), adjoint(vectors)), symmetric);
      expectOrthonormal(vectors);
      expect(values.sort(-1)[0].equal(values)).toBe(true);
    });
  });

  it("svd: U diag(S) Vᵀ, descending, thin and full", () => {
    scope(() => {
      for (const m of [matrix(2, 3, 5), matrix(2, 5, 3)]) {
        const [u, s, vt] = linalgSvd(m);
        expectSame(matmul(u.mul(s.unsqueeze(-2)), vt), m);
        expectOrthonormal(u);
        expectOrthonormal(adjoint(vt));
        expect(s.sort(-1, { descending: true })[0].equal(s)).toBe(true);
        const [fullU, , fullVt] = linalgSvd(m, { full: true });
        expect([fullU.shape, fullVt.shape]).toEqual([[2, m.size(1), m.size(1)], [2, m.size(2), m.size(2)]]); // biome-ignore format: a row
      }
    });
  });

  it("qr: Q R with R upper triangular", () => {
    scope(() => {
      const m = matrix(2, 5, 3);
      const [q, r] = linalgQr(m);
      expectSame(matmul(q, r), m);
      expectOrthonormal(q);
      expect(r.triu().equal(r)).toBe(true);
    });
  });

  it("have gradients: of the sum of squared singular values 2 m, of the log determinant m⁻ᵀ", () => {
    scope(() => {
      const m = matrix(3, 3)
        .add(torch.eye(3, { dtype: "float64" }).mul(3))
        .requiresGrad_();
      expectSame(grad([linalgSvd(m)[1].square().sum()], [m])[0]!, m.mul(2));
      expectSame(grad([torch.linalgSlogdet(m)[1]], [m])[0]!, adjoint(torch.linalgInverse(m)));
      const [values] = linalgEigh(m.add(adjoint(m)));
      expectSame(grad([values.square().sum()], [m])[0]!, m.add(adjoint(m)).mul(4));
    });
  });

  it("refuse what has none", () => {
    scope(() => {
      const float = { dtype: "float64" } as const;
      expect(() => torch.linalgSolve(torch.zeros([2, 2], float), torch.ones([2, 1], float))).toThrow(/singular/);
      expect(() => torch.linalgInverse(torch.zeros([2, 2], float))).toThrow(/singular/);
      expect(() => torch.linalgCholesky(torch.zeros([2, 2], float))).toThrow(/not positive-definite/);
      expect(() => linalgEigh(torch.ones([2, 3], float))).toThrow(/square matrices/);
      expect(() => linalgSvd(torch.ones([2, 2], { dtype: "int64" }))).toThrow(torch.TorchError);
      expect(() => linalgEigh(torch.full([3, 3], Number.NaN, float))).toThrow(torch.TorchError);
      expect(() => torch.einsum("ij,jk->iq", [torch.ones([2, 2]), torch.ones([2, 2])])).toThrow(torch.TorchError);
    });
  });
});

describe("infinite numbers", () => {
  // LAPACK's iterations need not end with them.
  const infinite = () => torch.tensor(new Float32Array([1, Number.POSITIVE_INFINITY, 2, 3]), { shape: [2, 2] });

  it.each([
    ["linalgSvd", (m: Tensor) => linalgSvd(m)],
    ["linalgEigh", (m: Tensor) => linalgEigh(m)],
    ["nuclear norm", (m: Tensor) => torch.operator("aten::linalg_norm.ord_str", "self ord")(m, "nuc")],
    ["spectral norm", (m: Tensor) => torch.operator("aten::linalg_norm", "self ord")(m, 2)],
  ])("%s refuses them", (_, decompose) => {
    scope(() =>
      expect(() => decompose(infinite())).toThrow(
        /expected finite numbers to decompose, got NaN or infinity among float32\[2, ?2\]/,
      ),
    );
  });

  it("norms of elements take them", () => {
    scope(() => {
      const norm = torch.operator<[Tensor], Tensor>("aten::linalg_norm", "self");
      expect(norm(infinite()).item()).toBe(Number.POSITIVE_INFINITY);
    });
  });
});
