// Arguments for any operator of libtorch's, by its schema.

/** @typedef {{ name: string, type: string, hasDefault: boolean }} Argument */

/**
 * `aten::add.Tensor(Tensor self, Tensor other, *, Scalar alpha=1) -> Tensor`
 * @param {string} text
 * @returns {{ name: string, arguments: Argument[] }}
 */
export function parseSchema(text) {
  const open = text.indexOf("(");
  let depth = 0;
  let end = open;
  for (; end < text.length; end++) {
    if ("([".includes(text[end])) depth++;
    if (")]".includes(text[end]) && --depth === 0) break;
  }
  const parts = [];
  let current = "";
  depth = 0;
  for (const letter of text.slice(open + 1, end)) {
    if ("([".includes(letter)) depth++;
    if (")]".includes(letter)) depth--;
    if (letter === "," && depth === 0) {
      parts.push(current);
      current = "";
    } else current += letter;
  }
  if (current.trim() !== "") parts.push(current);
  const found = [];
  for (const part of parts.map((one) => one.trim())) {
    if (part === "*" || part === "...") continue;
    const at = part.indexOf("=");
    const declared = at < 0 ? part : part.slice(0, at);
    const space = declared.lastIndexOf(" ");
    const type = declared
      .slice(0, space)
      .replace(/\(.*?\)/g, "")
      .replace("SymInt", "int");
    found.push({ name: declared.slice(space + 1), type, hasDefault: at >= 0 });
  }
  return { name: text.slice(0, open), arguments: found };
}

/**
 * A value of the type that an argument wants.
 * @param {import("./garbage.mjs").Garbage} garbage
 * @param {Argument} argument
 */
export function valueFor(garbage, { type, hasDefault }) {
  if (hasDefault && garbage.chance(0.4)) return undefined;
  if (type.endsWith("?")) {
    return garbage.chance(0.4) ? null : valueFor(garbage, { type: type.slice(0, -1), hasDefault: false });
  }
  const fixed = /^(.*)\[(\d*)\]$/.exec(type);
  if (fixed) {
    const [, element, size] = fixed;
    const length = size === "" || garbage.chance(0.1) ? garbage.pick([0, 1, 1, 2, 2, 3, 4]) : Number(size);
    if (element === "int" && garbage.chance(0.2)) return [...garbage.shape()];
    return Array.from({ length }, () => valueFor(garbage, { type: element, hasDefault: false }));
  }
  switch (type) {
    case "Tensor":
      return garbage.tensor();
    case "Scalar":
    case "float":
      return garbage.number();
    case "int":
      return garbage.integer();
    case "bool":
      return garbage.chance(0.5);
    case "str":
      return garbage.text();
    case "ScalarType":
      return garbage.dtype();
    case "Layout":
      return "strided";
    case "MemoryFormat":
      return garbage.pick(["row-major", "preserve", "channels-last", "channels-last-3d"]);
    case "Device":
      return garbage.pick(["cpu", "cpu", "cpu", "meta", "cuda:0"]);
    case "Generator":
      return garbage.chance(0.7) ? null : new garbage.torch.Generator(garbage.below(5));
    default:
      return garbage.value();
  }
}
