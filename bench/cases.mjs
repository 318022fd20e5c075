// What is measured, as data. A case is one piece of work done by stopgrad and by each form of the PyTorch script; they
// take turns, so that a slow moment of the machine meets all of them.
//
// `kind` names the program of both sides (stopgrad/<kind>.mjs, pytorch/<kind>.py); `settings` are an experiment file's.
// `count` is how much one turn does (optimizer steps, or evaluations) and `repeats` how many turns each one gets;
// `warmUp` goes before the first turn, untimed, on top of what both sides do by themselves to measure memory.

/** Images a batch, everywhere. */
export const BATCH = 128;

export const cases = [
  {
    name: "lenet5",
    title: "LeNet5 end to end, CIFAR-10 shape",
    kind: "training",
    unit: "images/s",
    settings: { model: "lenet5", partition: 1 },
    forms: [
      { name: "memory", title: "tensors in memory, batch gathered and normalised at once", count: 100 },
      { name: "loader", title: "`DataLoader`, each sample normalised", count: 100 },
    ],
    count: 100,
    warmUp: 50,
    repeats: 9,
    quick: { count: 40, repeats: 3 },
  },
  {
    name: "resnet18",
    title: "ResNet18 (width 64) layer-wise, linear heads",
    kind: "training",
    unit: "images/s",
    settings: {
      model: { name: "resnet18", width: 64, dropout: 0.2 },
      partition: "stage",
      objective: { head: "linear" },
    },
    forms: [
      { name: "plain", title: "all modules forward, then each loss backward", count: 2 },
      { name: "at-once", title: "each module's backward right after its forward", count: 2 },
    ],
    count: 2,
    warmUp: 0,
    repeats: 7,
    quick: { count: 1, repeats: 2 },
  },
  {
    name: "nhsic",
    title: "nHSIC of nine ResNet18 (width 64) stages with input and label",
    kind: "nhsic",
    unit: "s",
    settings: { model: { name: "resnet18", width: 64 }, partition: "stage" },
    forms: [{ name: "direct", title: "broadcast differences, explicit inverse", count: 1, needsBytes: 10e9 }],
    count: 5,
    warmUp: 0,
    repeats: 3,
    quick: { repeats: 1 },
    target: 50,
  },
];
