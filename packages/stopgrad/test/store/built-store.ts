// The store compiled into a folder of its own, for processes that a test starts: the source as it is now, whatever was
// built last.
import { execFileSync } from "node:child_process";
import { chmodSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

export interface BuiltStore {
  /** Holds `store/index.js`; readable for every user. */
  readonly folder: string;
  remove(): void;
}

export function buildStore(): BuiltStore {
  const root = join(import.meta.dirname, "../../../..");
  const folder = mkdtempSync(join(tmpdir(), "stopgrad-built-"));
  chmodSync(folder, 0o755);
  symlinkSync(join(root, "node_modules"), join(folder, "node_modules"));
  writeFileSync(join(folder, "package.json"), '{ "type": "module" }');
  const source = join(root, "packages/stopgrad/src");
  const options = "--ignoreConfig --target es2023 --module nodenext --moduleResolution nodenext --skipLibCheck";
  execFileSync(
    process.execPath,
    [
      join(root, "node_modules/typescript/bin/tsc"),
      ...options.split(" "),
      ...["--types", "node", "--rootDir", source, "--outDir", folder, join(source, "store/index.ts")],
    ],
    { cwd: root },
  );
  return { folder, remove: () => rmSync(folder, { recursive: true, force: true }) };
}
