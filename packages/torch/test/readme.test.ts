// The example in the README runs as it stands there.
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, it } from "vitest";
import { loadSafetensors, scope } from "../src/index.js";
import { runScript } from "./support/child.js";

it("the training loop learns and writes its file", () => {
  const readme = readFileSync(new URL("../README.md", import.meta.url), "utf8");
  const example = /```js\nimport \* as torch from "@stopgrad\/torch";\n([\s\S]*?)```/.exec(readme)![1]!;
  const folder = mkdtempSync(join(tmpdir(), "stopgrad-readme-"));
  try {
    const script = `process.chdir(${JSON.stringify(folder)});
      const lines = []; console.log = (...words) => lines.push(words);
      ${example}
      process.stdout.write(JSON.stringify(lines));`;
    const lines = runScript<[number, number][]>(script);
    expect(lines.map(([step]) => step)).toEqual([100, 200, 300]);
    expect(lines[2]![1]).toBeLessThan(0.005); // the product's variance is 0.049
    scope(() => {
      const { tensors } = loadSafetensors(join(folder, "network.safetensors"));
      expect([...tensors.keys()].sort()).toEqual(["0.bias", "0.weight", "2.bias", "2.weight"]);
    });
  } finally {
    rmSync(folder, { recursive: true });
  }
});
