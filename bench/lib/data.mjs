// The bytes that both sides train on, in a temporary folder: CIFAR-10's training images where they are found, else
// random ones of the same shape, which take as long.

import { randomFillSync } from "node:crypto";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { datasets } from "../../packages/stopgrad/dist/data/index.js";
import { dataDirectories } from "../../packages/stopgrad/dist/data/locate.js";

const RANDOM_COUNT = 50_000;

/**
 * @param {string} directory - where `images.u8` and `labels.u8` are written
 * @param {string | undefined} dataDir - `--data-dir`
 * @throws DatasetError when there is a CIFAR-10 that cannot be read
 */
export async function writeData(directory, dataDir) {
  const dataDirs = dataDirectories(dataDir);
  const { cifar10 } = datasets;
  const shape = cifar10.shape({});
  const classes = cifar10.classes({});
  const found = cifar10.files.find(dataDirs);
  const loaded = found === null ? null : await cifar10.load({}, { dataDirs });
  const { images, labels, count } = loaded?.train ?? randomImages(shape, classes);
  const files = { images: join(directory, "images.u8"), labels: join(directory, "labels.u8") };
  writeFileSync(files.images, images);
  writeFileSync(files.labels, labels);
  return {
    name: loaded ? "CIFAR-10" : "random images of CIFAR-10's shape",
    ...files,
    count,
    shape,
    classes,
    mean: loaded?.mean ?? [0.5, 0.5, 0.5],
    std: loaded?.std ?? [0.25, 0.25, 0.25],
  };
}

function randomImages(shape, classes) {
  const size = shape.reduce((product, side) => product * side, 1);
  return {
    images: randomFillSync(new Uint8Array(RANDOM_COUNT * size)),
    labels: Uint8Array.from({ length: RANDOM_COUNT }, (_, at) => at % classes),
    count: RANDOM_COUNT,
  };
}
