// The text of an experiment file as plain data, with the line and column of every setting. YAML 1.2 (the core schema:
// `yes` is text, `5e-4` is a number), with anchors and merge keys. Reads no file: `load.ts` does.
import { type Document, isAlias, isMap, isScalar, isSeq, LineCounter, parseDocument, visit } from "yaml";
import { type Problem, SettingsError } from "./problems.js";
import { containsItself, isTree, type Path, type Tree } from "./tree.js";

/** An experiment file, parsed but not yet validated. */
export interface SettingsDocument {
  /** As the user named it; shown in messages. Its base name is the experiment's default name. */
  readonly file: string;
  readonly tree: Tree;
  /**
   * `file:line:column` of a setting (`key`: of its name rather than of its value), or of the innermost map around it
   * that exists.
   */
  locate(path: Path, part: "key" | "value"): string;
}

/** Settings that were never text, for example from a test. Mistakes then have no line. */
export function documentFromTree(tree: Tree, file = "settings"): SettingsDocument {
  return { file, tree, locate: () => file };
}

/** @throws SettingsError when the text is not one YAML map, naming every syntax error and duplicate key. */
export function documentFromText(text: string, file: string): SettingsDocument {
  const lines = new LineCounter();
  const document = parseDocument(text, { lineCounter: lines, merge: true, prettyErrors: false });
  const at = (offset: number) => {
    const { line, col } = lines.linePos(offset);
    return `${file}:${line}:${col}`;
  };
  const problems: Problem[] = [...document.errors, ...document.warnings].map((error) => ({
    path: "",
    message: explain(error.code, error.message, text.slice(error.pos[0])),
    location: at(error.pos[0]),
  }));
  visit(document, {
    Alias(_, alias) {
      if (alias.resolve(document) === undefined) {
        const message = `*${alias.source}: no anchor &${alias.source} stands before it`;
        problems.push({ path: "", message, location: at(alias.range?.[0] ?? 0) });
      }
    },
  });
  if (problems.length > 0) throw new SettingsError(file, problems);

  const fail = (message: string, location: string): never => {
    throw new SettingsError(file, [{ path: "", message, location }]);
  };
  let tree: unknown;
  try {
    tree = document.toJS({ maxAliasCount: 100 });
  } catch (error) {
    return fail(`not usable as YAML: ${(error as Error).message}`, file);
  }
  if (tree === null || tree === undefined) {
    return fail("the file is empty; expected a map of settings, such as `model: lenet5`", file);
  }
  const start = at(document.contents?.range?.[0] ?? 0);
  if (!isTree(tree)) {
    return fail(
      `expected a map of settings, such as \`model: lenet5\`, got ${Array.isArray(tree) ? "a list" : "a single value"}`,
      start,
    );
  }
  if (containsItself(tree)) fail("an anchor contains itself", start);
  return { file, tree, locate: (path, part) => at(offsetOf(document, path, part)) };
}

/** One sentence for what the parser found; `rest` is the text from where it stands. */
function explain(code: string, message: string, rest: string): string {
  switch (code) {
    case "DUPLICATE_KEY":
      return `duplicate key: ${/^("[^"]*"|'[^']*'|[^:\s,}]+)/.exec(rest)?.[0] ?? "?"}; each setting can stand only once`;
    case "MULTIPLE_DOCS":
      return "expected one YAML document, found a second one after `---`";
    case "TAB_AS_INDENT":
      return "not YAML: a tab; indent with spaces";
    default:
      return `not YAML: ${message.charAt(0).toLowerCase()}${message.slice(1)}`;
  }
}

/** Walks the parsed nodes as far as they go. */
function offsetOf(document: Document.Parsed, path: Path, part: "key" | "value"): number {
  let node: unknown = document.contents;
  let offset = document.contents?.range?.[0] ?? 0;
  for (const [depth, step] of path.entries()) {
    const target = isAlias(node) ? node.resolve(document) : node;
    if (isMap(target)) {
      const pair = target.items.find((item) => String(isScalar(item.key) ? item.key.value : item.key) === String(step));
      if (pair === undefined) return offset;
      const wanted = part === "key" && depth === path.length - 1 ? pair.key : (pair.value ?? pair.key);
      offset = rangeStart(wanted) ?? rangeStart(pair.key) ?? offset;
      node = pair.value;
    } else if (isSeq(target)) {
      node = target.items[Number(step)];
      offset = rangeStart(node) ?? offset;
    } else {
      return offset;
    }
  }
  return offset;
}

function rangeStart(node: unknown): number | undefined {
  return (node as { range?: readonly number[] | null } | null | undefined)?.range?.[0];
}
