// nHSIC, HSIC and CKA of all N samples at once as their formulas say, in the memory of four N × N matrices: what
// full-set-error.mjs holds the estimates against. Written without the library's measures, so that it checks them too.
import {
  cat,
  choleskyInverse,
  diagonal,
  eye,
  linalgCholesky,
  linalgSolveTriangular,
  scope,
  zeros,
} from "@stopgrad/torch";

/** Rows of a matrix that are looked at in one go. */
const BAND = 500;

/**
 * @param name - `nhsic`, `hsic` or `cka`
 * @param arrays - x `[N, …]`, y int64 `[N]`, z: representations `[N, …]`
 * @param options - kernel `rbf` or `linear` of squared distances, sigma, width `scaled` or `median`, epsilon, estimator
 * @returns with X for each z, then with Y for each z
 */
export function exactDependence(name, { x, y, z }, options) {
  return scope(() => {
    const sides = [sideOf(name, rowsOf(x), options), labelSide(name, y, options)];
    const found = z.map((one) =>
      scope(() => {
        const mine = sideOf(name, rowsOf(one), options);
        return sides.map((side) => between(name, side, mine, options));
      }),
    );
    return sides.flatMap((_, at) => found.map((values) => values[at]));
  });
}

function between(name, a, b, { estimator }) {
  if (name === "nhsic") return sumOfProducts(a, b);
  if (name === "hsic") return hsic(a, b, estimator);
  return hsic(a, b, estimator) / Math.sqrt(hsic(a, a, estimator) * hsic(b, b, estimator));
}

/** From sums alone (Gretton et al. 2005; Song et al. 2012, eq. 5): no matrix is centred. */
function hsic(a, b, estimator) {
  const count = a.count;
  if (estimator !== "unbiased") {
    const [ofA, ofB] = [a, b].map((side) => rowSums(side));
    const [paired, totals] = [dot(ofA, ofB), total(ofA) * total(ofB)];
    return (sumOfProducts(a, b) - (2 / count) * paired + totals / count ** 2) / (count - 1) ** 2;
  }
  const [ofA, ofB] = [a, b].map((side) => rowSums(side).map((sum, at) => sum - side.diagonal[at]));
  const [paired, totals] = [dot(ofA, ofB), total(ofA) * total(ofB)];
  const trace = sumOfProducts(a, b) - dot(a.diagonal, b.diagonal);
  return (trace + totals / ((count - 1) * (count - 2)) - (2 / (count - 2)) * paired) / (count * (count - 3));
}

/** A matrix by its bands: the Gram matrix, or of nHSIC R = K (K + ε N I)⁻¹. The rows are disposed of. */
function sideOf(name, rows, options) {
  const matrix = scope(() => gram(rows, options));
  rows.dispose();
  const made = name === "nhsic" ? normalised(matrix, options.epsilon) : matrix;
  return {
    count: made.size(0),
    band: (start, height) => made.narrow(0, start, height),
    diagonal: diagonal(made).toNumbers(),
  };
}

/** The same of labels, each band made when it is asked for: 1 where they agree; of nHSIC from one-hot rows. */
function labelSide(name, y, { epsilon }) {
  const count = y.size(0);
  if (name !== "nhsic") {
    const band = (start, height) => y.narrow(0, start, height).unsqueeze(1).eq(y.unsqueeze(0)).to("float64");
    return { count, band, diagonal: new Array(count).fill(1) };
  }
  const classes = [...new Set(y.toNumbers())];
  const features = cat(
    classes.map((label) => y.eq(label).to("float64").unsqueeze(1)),
    1,
  );
  features.sub_(features.mean([0], { keepDim: true }));
  const products = features.t().matmul(features);
  products.add_(eye(classes.length, { dtype: "float64" }).mul(epsilon * count));
  const solved = linalgSolveTriangular(linalgCholesky(products), features.t(), { upper: false }); // [classes, N]
  return { count, band: (start, height) => solved.narrow(1, start, height).t().matmul(solved) };
}

/** R in the matrix's own memory and one more. */
function normalised(matrix, epsilon) {
  const count = matrix.size(0);
  const means = matrix.mean([1], { keepDim: true });
  matrix.sub_(means).sub_(means.t()).add_(means.mean());
  addToDiagonal(matrix, epsilon * count);
  const factor = linalgCholesky(matrix);
  matrix.dispose();
  const inverse = choleskyInverse(factor);
  factor.dispose();
  inverse.mul_(-epsilon * count);
  addToDiagonal(inverse, 1);
  return inverse;
}

/** In a scope of its own: a view would keep the matrix in memory. */
function addToDiagonal(matrix, value) {
  scope(() => void diagonal(matrix).add_(value));
}

/** Gram matrix, float64 `[N, N]`; products of rows less their mean are taken once for both halves. */
function gram(rows, { kernel, sigma, width }) {
  const count = rows.size(0);
  const matrix = zeros([count, count], { dtype: "float64" });
  const norms = rows.square().sum([1]);
  bands(count, (start, height) => {
    const products = rows.narrow(0, start, height).matmul(rows.narrow(0, start, count - start).t());
    if (kernel !== "linear") {
      products
        .mul_(-2)
        .add_(norms.narrow(0, start, height).unsqueeze(1))
        .add_(norms.narrow(0, start, count - start));
      products.clamp_(0);
    }
    matrix
      .narrow(0, start, height)
      .narrow(1, start, count - start)
      .copy_(products);
    matrix
      .narrow(1, start, height)
      .narrow(0, start, count - start)
      .copy_(products.t());
  });
  if (kernel === "linear") return matrix;
  scope(() => void diagonal(matrix).fill_(0));
  const squaredWidth = width === "median" ? sigma ** 2 * medianOf(matrix) : sigma ** 2 * rows.size(1);
  return matrix.mul_(-1 / (2 * squaredWidth)).exp_();
}

/** The median squared distance of two different samples, by halving the range that it lies in. */
function medianOf(distances) {
  const count = distances.size(0);
  const wanted = count + (count * (count - 1)) / 2; // the diagonal's zeros are below all others
  let [low, high] = [0, distances.amax().item()];
  while (high - low > 1e-12 * high) {
    const middle = (low + high) / 2;
    const below = scope(() => distances.le(middle).sum().item());
    if (below >= wanted) high = middle;
    else low = middle;
  }
  return high;
}

/** Float64 rows less their mean. */
function rowsOf(values) {
  const rows = values.reshape([values.size(0), -1]).to({ dtype: "float64", copy: true });
  return rows.sub_(rows.mean([0], { keepDim: true }));
}

function bands(count, body) {
  for (let start = 0; start < count; start += BAND) scope(() => body(start, Math.min(BAND, count - start)));
}

function sumOfProducts(a, b) {
  let sum = 0;
  bands(a.count, (start, height) => {
    sum += a.band(start, height).mul(b.band(start, height)).sum().item();
  });
  return sum;
}

function rowSums({ count, band }) {
  const sums = [];
  bands(count, (start, height) => {
    sums.push(...band(start, height).sum([1]).toNumbers());
  });
  return sums;
}

const total = (values) => values.reduce((sum, value) => sum + value, 0);
const dot = (a, b) => a.reduce((sum, value, at) => sum + value * b[at], 0);
