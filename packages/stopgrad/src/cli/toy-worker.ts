// A thread of `stopgrad toy`: it trains the networks it is sent, one after the other, and sends back what was seen.
import { parentPort } from "node:worker_threads";
import { setThreads } from "@stopgrad/torch";
import { runToy, type ToyResult, type ToyRule, type ToySettings } from "../toy/index.js";

export interface ToyJob {
  readonly rule: ToyRule;
  readonly seed: number;
  readonly settings: ToySettings;
}

export type ToyAnswer = { readonly result: ToyResult } | { readonly error: { name: string; message: string } };

setThreads(1); // as many of these run side by side as there are processors

parentPort?.on("message", ({ rule, seed, settings }: ToyJob) => {
  let answer: ToyAnswer;
  try {
    answer = { result: runToy(rule, seed, settings) };
  } catch (error) {
    const { name, message } = error as Error;
    answer = { error: { name, message } };
  }
  parentPort?.postMessage(answer);
});
