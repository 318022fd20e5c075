#!/usr/bin/env node
// Makes a checkout ready to run: finds or installs libtorch, installs the npm packages, builds the native addon and the
// TypeScript. `npm run demo`, `npm test` and `npm run bench` call it first; it is quick when nothing is to be done.
// Only node built-ins are used, because it runs before anything is installed. The work is in lib/main.mjs, imported only
// once the version of Node is known to be able to read it.
//
// Environment: STOPGRAD_LIBTORCH (a folder with include/ and lib/) chooses the libtorch; STOPGRAD_SANITIZE (such as
// `address,undefined`) builds the addon with those sanitizers into packages/torch/build-sanitize; CXX is the compiler.

const OLDEST_NODE = 20;

if (Number(process.versions.node.split(".")[0]) < OLDEST_NODE) {
  console.error(
    `set-up: stopgrad needs Node ${OLDEST_NODE} or newer, and this is Node ${process.versions.node}: ` +
      "install a current one from https://nodejs.org.",
  );
  process.exitCode = 1;
} else {
  const { main } = await import("./lib/main.mjs");
  process.exitCode = await main(new URL("..", import.meta.url));
}
