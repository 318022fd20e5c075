// What scripts/debian13.mjs does without making a system: the copy of the working tree, the record, and its refusals.
import { execFileSync, spawnSync } from "node:child_process";
import {
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  readlinkSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterEach, beforeEach, describe, expect, it } from "vitest";

const SCRIPTS = new URL("../../../scripts/", import.meta.url);
const load = (name: string) => import(new URL(`lib/${name}.mjs`, SCRIPTS).href);
const { copyCheckout, copyPackages, commitOf } = await load("checkout");
const { readCounts, record } = await load("versions");

let base: string;
let root: string;
let copy: string;

const write = (path: string, text: string) => writeFileSync(join(root, path), text);
const git = (...args: string[]) =>
  execFileSync("git", ["-C", root, "-c", "user.name=Test", "-c", "user.email=test@example.org", ...args], {
    encoding: "utf8",
  }).trim();

beforeEach(() => {
  base = mkdtempSync(join(tmpdir(), "stopgrad-debian13-"));
  [root, copy] = [join(base, "root"), join(base, "copy")];
  mkdirSync(join(root, "sub", "ignored"), { recursive: true });
  write(".gitignore", "ignored/\n");
  write("kept", "one");
  write("sub/gone", "two");
  write("sub/ignored/built", "three");
  symlinkSync("kept", join(root, "link"));
  git("init", "--quiet");
  git("add", ".");
  git("commit", "--quiet", "-m", "Begin");
});

afterEach(() => rmSync(base, { recursive: true, force: true }));

describe("the copy of the working tree", () => {
  it("has every file as it stands, new ones too, and none that git ignores", async () => {
    write("kept", "changed");
    write("new", "four");
    chmodSync(join(root, "new"), 0o755);
    rmSync(join(root, "sub", "gone"));
    await copyCheckout(root, copy);
    expect(readFileSync(join(copy, "kept"), "utf8")).toBe("changed");
    expect(statSync(join(copy, "new")).mode & 0o777).toBe(0o755);
    expect(readlinkSync(join(copy, "link"))).toBe("kept");
    expect(existsSync(join(copy, "sub", "gone"))).toBe(false);
    expect(existsSync(join(copy, "sub", "ignored"))).toBe(false);
    expect(existsSync(join(copy, ".git"))).toBe(false);
  });

  it("follows the tree the second time, and leaves unchanged files and what was built there alone", async () => {
    await copyCheckout(root, copy);
    const before = statSync(join(copy, "kept"));
    mkdirSync(join(copy, "sub", "ignored"), { recursive: true });
    writeFileSync(join(copy, "sub", "ignored", "built"), "there");
    rmSync(join(root, "sub", "gone"));
    rmSync(join(root, "link"));
    write("link", "a file now");
    await copyCheckout(root, copy);
    expect(statSync(join(copy, "kept"))).toMatchObject({ ino: before.ino, mtimeMs: before.mtimeMs });
    expect(existsSync(join(copy, "sub", "gone"))).toBe(false);
    expect(readFileSync(join(copy, "link"), "utf8")).toBe("a file now");
    expect(readFileSync(join(copy, "sub", "ignored", "built"), "utf8")).toBe("there");
    expect(readFileSync(join(root, "kept"), "utf8")).toBe("one");
  });

  it("takes the installed packages along when asked", async () => {
    await copyCheckout(root, copy);
    await expect(copyPackages(root, copy)).rejects.toThrow(/there are no packages in .* to copy either/);
    mkdirSync(join(root, "node_modules"));
    write("node_modules/a", "new");
    mkdirSync(join(copy, "node_modules"));
    writeFileSync(join(copy, "node_modules", "b"), "old");
    await copyPackages(root, copy);
    expect(readFileSync(join(copy, "node_modules", "a"), "utf8")).toBe("new");
    expect(existsSync(join(copy, "node_modules", "b"))).toBe(false);
  });

  it("is named by its commit, and called dirty when it differs", async () => {
    const commit = git("rev-parse", "HEAD");
    expect(await commitOf(root, [])).toBe(commit);
    write("new", "");
    expect(await commitOf(root, [])).toBe(`${commit}-dirty`);
    expect(await commitOf(root, ["new"])).toBe(commit);
  });

  it("needs a checkout", async () => {
    rmSync(join(root, ".git"), { recursive: true });
    await expect(copyCheckout(root, copy)).rejects.toThrow(`expected ${root} to be a git checkout`);
  });
});

describe("the record", () => {
  const result = {
    system: "Debian 13.1",
    architecture: "x86_64",
    libtorch: "2.6.0 (2.6.0+dfsg-7)",
    compiler: "g++ 14",
    node: "20.19.2",
    blas: "openblas",
    tests: "all",
    passed: 5,
    failed: 0,
    skipped: 1,
    date: "2026-01-02T03:04:05.000Z",
    commit: `${"a".repeat(40)}-dirty`,
  };
  const page = () => readFileSync(join(root, "docs", "libtorch-versions.md"), "utf8");

  it("keeps the last result of each libtorch on each system, oldest libtorch first", () => {
    mkdirSync(join(root, "docs"));
    write("docs/libtorch-versions.md", "before\n<!-- recorded -->\n<!-- end -->\nafter\n");
    record(root, result);
    record(root, { ...result, libtorch: "1.13.0", system: "Debian 12" });
    record(root, { ...result, libtorch: "2.10.0" });
    record(root, { ...result, passed: 6 });
    const rows = page().split("\n");
    expect(rows[0]).toBe("before");
    expect(rows.filter((row) => row.startsWith("| ")).map((row) => row.split(" | ")[0])).toEqual([
      "| libtorch",
      "| ---",
      "| 1.13.0",
      "| 2.6.0 (2.6.0+dfsg-7)",
      "| 2.10.0",
    ]);
    expect(page()).toContain("| all | 6 | 0 | 1 | 2026-01-02 | aaaaaaaaaaaa with changes |");
    expect(page()).toMatch(/<!-- end -->\nafter\n$/);
    expect(JSON.parse(readFileSync(join(root, "docs", "libtorch-versions.json"), "utf8")).results).toHaveLength(3);
  });

  it("is not written into a page without its marks", () => {
    mkdirSync(join(root, "docs"));
    write("docs/libtorch-versions.md", "no marks\n");
    expect(() => record(root, result)).toThrow(
      "expected the marks of a table in docs/libtorch-versions.md, found none",
    );
    expect(existsSync(join(root, "docs", "libtorch-versions.json"))).toBe(false);
  });

  it("counts a file that fails before its first test as one failure, and knows when nothing ran", () => {
    const file = (status: string, tests: number) => ({ status, assertionResults: new Array(tests).fill({}) });
    const report = {
      numPassedTests: 3,
      numFailedTests: 1,
      numPendingTests: 2,
      numTodoTests: 0,
      testResults: [file("passed", 3), file("failed", 1), file("failed", 0)],
    };
    write("report.json", JSON.stringify(report));
    expect(readCounts(join(root, "report.json"))).toEqual({ passed: 3, failed: 2, skipped: 2 });
    expect(readCounts(join(root, "absent.json"))).toBeUndefined();
  });
});

describe("debian13", () => {
  const script = fileURLToPath(new URL("debian13.mjs", SCRIPTS));
  const call = (args: string[], env: NodeJS.ProcessEnv = {}) => {
    const { status, stdout, stderr } = spawnSync(process.execPath, [script, ...args], {
      encoding: "utf8",
      env: { ...process.env, ...env },
    });
    return { status, stdout, stderr };
  };

  it("explains itself, and refuses what it does not know", () => {
    expect(call(["--help"])).toMatchObject({
      status: 0,
      stdout: expect.stringContaining("usage: node scripts/debian13"),
    });
    expect(call(["--fast"])).toMatchObject({ status: 2, stderr: expect.stringMatching(/Unknown option '--fast'/) });
    expect(call(["--folder", "/"])).toMatchObject({
      status: 2,
      stderr: expect.stringContaining("a folder of its own"),
    });
  });

  it("says in one sentence what it needs", () => {
    const { status, stderr } = call(["--folder", join(base, "debian")], { PATH: "/nowhere" });
    expect(status).toBe(1);
    expect(stderr).toMatch(
      /^debian13: (debootstrap is missing: get it with|a system in a folder is made .* as root).*\n$/,
    );
    expect(existsSync(join(base, "debian"))).toBe(false);
  });
});
