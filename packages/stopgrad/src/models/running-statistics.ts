// Running statistics of batch norm, where a network is run a second time on the same batch and they must not move again.
import { nn } from "@stopgrad/torch";

/** Runs `body` with batch norm as it is, but for running statistics, which stay what they are. */
export function withoutMovingStatistics<R>(networks: readonly nn.Module[], body: () => R): R {
  const norms = networks.flatMap((network) => [...network.modules()].filter(isBatchNorm));
  for (const norm of norms) norm.movesStatistics = false;
  try {
    return body();
  } finally {
    for (const norm of norms) norm.movesStatistics = true;
  }
}

export function isBatchNorm(module: nn.Module): module is nn.BatchNorm2d {
  return module instanceof nn.BatchNorm1d || module instanceof nn.BatchNorm2d || module instanceof nn.BatchNorm3d;
}
