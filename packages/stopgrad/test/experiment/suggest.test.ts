import { expect, test } from "vitest";
import { didYouMean, nearest, sameWord } from "../../src/experiment/suggest.js";

test.each([
  ["optimiser", "optimizer"],
  ["learning_rate", "learningRate"],
  ["learningrat", "learningRate"],
  ["LR", "learningRate"],
  ["epohcs", "epochs"],
  ["resnet", "resnet18"],
  ["batchSize", "batch"],
  ["ce", "cross-entropy"],
  ["crossentropy", "cross-entropy"],
])("%s → %s", (word, meant) => {
  expect(nearest(word, ["seeds", "epochs", "batch", "resnet18", "learningRate", "cross-entropy", "optimizer"])).toBe(
    meant,
  );
});

test("nothing where nothing is near", () => {
  for (const word of ["", "x", "-", "zzzzzz", "transformer"])
    expect(nearest(word, ["epochs", "seeds", "x1"].slice(0, 2))).toBeUndefined();
  expect(didYouMean("vgg", ["mlp", "resnet18"])).toBe("");
  expect(didYouMean("mlpp", ["mlp", "resnet18"])).toBe("; did you mean mlp?");
  expect(nearest("epochs", [])).toBeUndefined();
});

test("the nearest of several, the first of equals", () => {
  expect(nearest("resnet8", ["resnet110", "resnet18", "resnet32"])).toBe("resnet18");
  expect(nearest("resnet1", ["resnet2", "resnet3"])).toBe("resnet2");
});

test("the same word in British and American spelling, but not another word", () => {
  expect(sameWord("normalise", ["normalize"])).toBe("normalize");
  expect(sameWord("colour", ["color"])).toBe("color");
  expect(sameWord("normalised", ["normalize"])).toBeUndefined();
});
