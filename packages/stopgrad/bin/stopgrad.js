#!/usr/bin/env node
// The `stopgrad` command: starts the built command line, which reads process.argv itself.
import { existsSync } from "node:fs";
import module from "node:module";

const main = new URL("../dist/cli/main.js", import.meta.url);

if (existsSync(main)) {
  // Newer Nodes keep compiled code between runs, which shortens the start; Node 20 has no such cache.
  module.enableCompileCache?.();
  await import(main.href);
} else {
  console.error("stopgrad: it is not built yet: run `npm run setup` in the repository first.");
  process.exitCode = 1;
}
