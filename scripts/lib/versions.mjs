// Which libtorch the tests passed with: docs/libtorch-versions.json holds the last result on each system, and the table
// in docs/libtorch-versions.md is made from it.

import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { runOrFail } from "./command.mjs";
import { readJson } from "./files.mjs";
import { Problem } from "./say.mjs";

const RESULTS = "docs/libtorch-versions.json";
const PAGE = "docs/libtorch-versions.md";
/** Between these stands the table on that page. */
const RECORDED = /(<!-- recorded -->\n)[\s\S]*(<!-- end -->)/;

/** Files that a record changes, so that they do not count as changes of what was tested. */
export const RECORD_FILES = [RESULTS, PAGE];

// Runs where the tests ran, in the checkout, after the set-up.
const ASK = `
. /etc/os-release
echo "system=$PRETTY_NAME"
echo "release=$(cat /etc/debian_version 2>/dev/null)"
echo "architecture=$(uname -m)"
echo "compiler=$(\${CXX:-g++} --version | head -n 1)"
echo "node=$(node -p process.versions.node)"
echo "package=$(dpkg-query --show --showformat '\${Version}' libtorch-dev 2>/dev/null)"
node -e '
  const { version, source } = require("./packages/torch/build/libtorch.json");
  console.log("libtorch=" + version + "\\nsource=" + source);'
node --input-type=module -e '
  import { blasLibrary, tensor } from "./packages/torch/dist/index.js";
  const one = tensor([[1]]);
  one.matmul(one);
  console.log("blas=" + blasLibrary());'
`;

/** A command whose output {@link readVersions} reads. */
export const ASK_VERSIONS = ["sh", "-c", ASK];

/**
 * Versions of everything that a result depends on.
 *
 * @param {string[]} command - {@link ASK_VERSIONS}, or what runs it in another system
 * @param {string} cwd - the checkout, for a command that runs here
 */
export async function readVersions(command, cwd) {
  const { standardOutput } = await runOrFail(command, "the versions cannot be read: see the lines above.", { cwd });
  const found = Object.fromEntries(standardOutput.split("\n").flatMap((line) => [line.split(/=(.*)/s).slice(0, 2)]));
  const { system, release, architecture, libtorch, source, package: debian, compiler, node, blas } = found;
  return {
    system: /^Debian/.test(system) && /^\d/.test(release) ? `Debian ${release}` : system,
    architecture,
    libtorch: source === "system" && debian ? `${libtorch} (${debian})` : `${libtorch} (${source})`,
    compiler,
    node,
    blas,
  };
}

/**
 * Counts from Vitest's own report.
 *
 * @param {string} path - what its json reporter wrote
 * @returns {{ passed: number, failed: number, skipped: number } | undefined} undefined when no test ran; a file that
 *   fails before its first test counts as one failure
 */
export function readCounts(path) {
  const report = readJson(path);
  if (report === undefined) return undefined;
  const broken = report.testResults.filter((file) => file.status === "failed" && file.assertionResults.length === 0);
  return {
    passed: report.numPassedTests,
    failed: report.numFailedTests + broken.length,
    skipped: report.numPendingTests + (report.numTodoTests ?? 0),
  };
}

/**
 * Keeps a result in place of the earlier one with the same libtorch on the same system, and renews the table.
 *
 * @param {string} root - the repository root
 * @param {object} result - versions, `tests` (what was run), counts, `date`, `commit`
 */
export function record(root, result) {
  const known = readJson(join(root, RESULTS))?.results ?? [];
  const others = known.filter(({ libtorch, system }) => libtorch !== result.libtorch || system !== result.system);
  const results = [...others, result].sort((a, b) => a.libtorch.localeCompare(b.libtorch, "en", { numeric: true }));
  const page = readFileSync(join(root, PAGE), "utf8");
  if (!RECORDED.test(page)) throw new Problem(`expected the marks of a table in ${PAGE}, found none.`);
  writeFileSync(join(root, RESULTS), `${JSON.stringify({ results }, null, 2)}\n`);
  writeFileSync(
    join(root, PAGE),
    page.replace(RECORDED, (_, start, end) => `${start}\n${table(results)}\n${end}`),
  );
}

function table(results) {
  const columns = {
    libtorch: ({ libtorch }) => libtorch,
    system: ({ system, architecture }) => `${system}, ${architecture}`,
    compiler: ({ compiler }) => compiler,
    Node: ({ node }) => node,
    BLAS: ({ blas }) => blas,
    tests: ({ tests }) => tests,
    passed: ({ passed }) => passed,
    failed: ({ failed }) => failed,
    skipped: ({ skipped }) => skipped,
    date: ({ date }) => date.slice(0, 10),
    commit: ({ commit }) => `${commit.slice(0, 12)}${commit.endsWith("-dirty") ? " with changes" : ""}`,
  };
  const row = (cells) => `| ${cells.join(" | ")} |\n`;
  const head = row(Object.keys(columns)) + row(Object.keys(columns).map(() => "---"));
  return head + results.map((result) => row(Object.values(columns).map((cell) => cell(result)))).join("");
}
