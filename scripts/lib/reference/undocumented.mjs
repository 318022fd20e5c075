// What a user can reach and no docstring tells about.

/** Members whose meaning their class's docstring gives, or their name alone. */
const SELF_EXPLAINING = new Set(["forward", "options", "toString", "namedChildren", "name"]);

/**
 * Exports without a docstring, methods without one, and properties of options and other interfaces without one.
 * Properties of classes need none: their types and the class's docstring say what they are.
 *
 * @param {import("./model.mjs").Namespace[]} namespaces
 * @returns {string[]} names, `nn.Module.apply`
 */
export function undocumented(namespaces) {
  const lacking = [];
  for (const { name: namespace, entries } of namespaces) {
    for (const { name, kind, docs, members } of entries) {
      const path = namespace === "" ? name : `${namespace}.${name}`;
      if (docs.text === "") lacking.push(path);
      for (const member of members) {
        if (member.docs.text !== "" || member.isOverride || SELF_EXPLAINING.has(member.name)) continue;
        if (kind === "class" && member.kind === "property" && !/^[a-z]+\.?Tensor$/.test(path) && path !== "Tensor")
          continue;
        lacking.push(`${path}.${member.name}`);
      }
    }
  }
  return lacking;
}
