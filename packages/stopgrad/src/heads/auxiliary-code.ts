// The code by which arXiv 2101.10832 and 2312.07636 name an auxiliary classifier: `1c2f` has one convolution and two
// linear ("fully connected") layers. Loads no tensors, so that settings can be read anywhere.

/** How many layers an auxiliary classifier may have of each kind; a linear one is always there. */
export const CONV_LAYERS = { least: 0, most: 8 } as const;
export const LINEAR_LAYERS = { least: 1, most: 8 } as const;

/** What a code says, as the setting `objective.head`. */
export interface AuxiliaryHeadSettings {
  readonly name: "auxiliary";
  readonly convLayers: number;
  readonly linearLayers: number;
}

/**
 * `1c2f` → one convolution and two linear layers. Upper case and blanks around it are taken too.
 * @returns null for what is no such code, or counts outside 0 to 8 convolutions and 1 to 8 linear layers
 */
export function parseHeadCode(code: string): AuxiliaryHeadSettings | null {
  const found = /^(\d)c(\d)f$/i.exec(code.trim());
  if (!found) return null;
  const [convLayers, linearLayers] = [Number(found[1]), Number(found[2])];
  if (convLayers > CONV_LAYERS.most || linearLayers < LINEAR_LAYERS.least || linearLayers > LINEAR_LAYERS.most) {
    return null;
  }
  return { name: "auxiliary", convLayers, linearLayers };
}
