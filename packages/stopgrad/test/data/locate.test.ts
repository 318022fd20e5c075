import { homedir } from "node:os";
import { join, resolve } from "node:path";
import { expect, test } from "vitest";
import { cacheDirectory, dataDirectories } from "../../src/data/locate.js";

const home = join(homedir(), ".cache", "stopgrad", "data");

test("--data-dir, then STOPGRAD_DATA, then the cache", () => {
  const environment = { STOPGRAD_DATA: "/sets", XDG_CACHE_HOME: "/cache" };
  expect(dataDirectories("/given", environment)).toEqual(["/given", "/sets", "/cache/stopgrad/data"]);
  expect(dataDirectories(undefined, environment)).toEqual(["/sets", "/cache/stopgrad/data"]);
  expect(dataDirectories(undefined, {})).toEqual([home]);
});

test("what is empty counts as not given, a relative cache is ignored, a repeat is left out", () => {
  expect(dataDirectories("", { STOPGRAD_DATA: "", XDG_CACHE_HOME: "" })).toEqual([home]);
  expect(dataDirectories(undefined, { XDG_CACHE_HOME: "cache" })).toEqual([home]);
  expect(dataDirectories("/sets", { STOPGRAD_DATA: "/sets/", XDG_CACHE_HOME: "/c" })).toEqual([
    "/sets",
    "/c/stopgrad/data",
  ]);
});

test("relative folders become absolute", () => {
  expect(dataDirectories("sets", {})[0]).toBe(resolve("sets"));
});

test("the cache of what can be made again: STOPGRAD_CACHE, else the user's cache", () => {
  expect(cacheDirectory({ STOPGRAD_CACHE: "/kept", XDG_CACHE_HOME: "/cache" })).toBe("/kept");
  expect(cacheDirectory({ STOPGRAD_CACHE: "kept" })).toBe(resolve("kept"));
  expect(cacheDirectory({ STOPGRAD_CACHE: "", XDG_CACHE_HOME: "/cache" })).toBe("/cache/stopgrad");
  expect(cacheDirectory({})).toBe(join(homedir(), ".cache", "stopgrad"));
});
