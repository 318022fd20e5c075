// Operators of libtorch's that `operator` refuses.
const namespaces: ReadonlySet<string> = new Set(["aten", "stopgrad"]);

/** Why the operator is refused, null when it is not. */
export function refusalOf(name: string): string | null {
  if (!namespaces.has(name.slice(0, name.indexOf("::")))) return "belongs to a part of libtorch that reads its arguments unchecked";
  return null;
}
