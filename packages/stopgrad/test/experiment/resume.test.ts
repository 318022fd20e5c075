// A run that is stopped, killed or finds its newest checkpoint damaged ends with the same bits as one that was not.
// Real processes, and a network, data and rule in which every random generator matters.
import { appendFileSync, existsSync, mkdirSync, readFileSync, truncateSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import {
  checkpoints,
  everyGenerator,
  finalTensors,
  folder,
  isAlive,
  json,
  put,
  readTensors,
  results,
  start,
  stopgrad,
  stored,
  until,
  untilStep,
  workersOf,
} from "../cli/command.js";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";

const STEPS_PER_EPOCH = 32;
const STEPS = 3 * STEPS_PER_EPOCH;
const file = "generators.yaml";
let id: string;
/** A run that nothing disturbed. */
let home: string;
let undisturbed: { tensors: Record<string, string>; metrics: unknown; document: any };

beforeAll(async () => {
  home = mkdtempSync(join(tmpdir(), "stopgrad-undisturbed-"));
  writeFileSync(join(home, file), everyGenerator);
  const child = await import("node:child_process");
  const { program } = await import("../cli/command.js");
  const output = child.execFileSync(process.execPath, [program, "train", join(home, file), "--json", "--runs", home], {
    encoding: "utf8",
    stdio: ["ignore", "pipe", "ignore"],
  });
  const document = JSON.parse(output);
  id = document.run;
  undisturbed = { tensors: finalTensors(home, id), metrics: results(home, id), document };
});

afterAll(() => rmSync(home, { recursive: true, force: true }));
