// What a TypeScript package exports, as plain data: names, signatures, members and docstrings.
//
// The reader is the workspace's own compiler, through the interface that TypeScript 7 has for tools. That interface is
// called unstable: a newer compiler may ask for changes in this file, and in no other.
import { relative, sep } from "node:path";
import { SyntaxKind } from "typescript/unstable/ast";
import { API, NodeBuilderFlags, SignatureKind, SymbolFlags } from "typescript/unstable/sync";

/**
 * @typedef {object} Docs
 * @property {string} text - the docstring before its tags; "" where there is none
 * @property {{ name: string, text: string }[]} parameters
 * @property {string} returns
 * @property {string[]} throws
 *
 * @typedef {object} Member
 * @property {string} name
 * @property {"property" | "method"} kind
 * @property {string[]} signatures - `name: type`, or one for each overload
 * @property {Docs} docs
 * @property {boolean} isOverride - of a member that an exported class has already
 *
 * @typedef {object} Entry
 * @property {string} name
 * @property {"function" | "class" | "interface" | "type"} kind
 * @property {string} file - source, relative to the root, with slashes
 * @property {number} position - in the source, for its order
 * @property {string[]} signatures - of a function; of a class, those of its constructor
 * @property {Docs} docs
 * @property {string} heading - what a class or interface is called and extends
 * @property {Member[]} members - of a class or interface
 *
 * @typedef {object} Namespace
 * @property {string} name - "" for the package itself, `nn` and so on for `export * as nn`
 * @property {Entry[]} entries
 */

/**
 * Reads a package from its project and the module that it begins with.
 *
 * @param {string} root - folder that source files are named from
 * @param {string} project - tsconfig.json
 * @param {string} entryPoint - the module whose exports are the package's
 * @returns {Namespace[]} the package and its namespaces
 */
export function readPackage(root, project, entryPoint) {
  const api = new API({ cwd: root });
  try {
    const opened = api.updateSnapshot({ openProject: project }).getProject(project);
    return new Reader(root, opened).read(entryPoint);
  } finally {
    api.close();
  }
}

class Reader {
  /** Symbols by id that somebody can import, and the name. */
  #exported = new Map();

  constructor(root, project) {
    this.root = root;
    this.project = project;
    this.checker = project.checker;
  }

  read(entryPoint) {
    const source = this.project.program.getSourceFile(entryPoint);
    const exports = this.#exportsOf(this.checker.getSymbolAtLocation(source));
    const own = exports.filter(({ symbol }) => !isModule(symbol));
    const namespaces = [
      { name: "", exports: own },
      ...exports
        .filter(({ symbol }) => isModule(symbol))
        .map(({ name, symbol }) => ({ name, exports: this.#exportsOf(symbol) })),
    ];
    for (const { exports: list } of namespaces)
      for (const { name, symbol } of list) this.#exported.set(symbol.id, name);
    return namespaces.map(({ name, exports: list }) => ({
      name,
      entries: list.map((item) => this.#entry(item.name, item.symbol)),
    }));
  }

  #exportsOf(module) {
    return this.checker.getExportsOfModule(module).map((symbol) => ({
      name: symbol.name,
      symbol: symbol.flags & SymbolFlags.Alias ? this.checker.getAliasedSymbol(symbol) : symbol,
    }));
  }

  #entry(name, symbol) {
    const nodes = this.#nodes(symbol);
    const node = nodes[0];
    const docs = this.#docs(nodes);
    const base = {
      name,
      file: relative(this.root, node.getSourceFile().fileName).split(sep).join("/"),
      position: node.getStart(),
      docs,
      signatures: [],
      heading: "",
      members: [],
    };
    if (symbol.flags & SymbolFlags.Class) {
      const [extended] = this.#extended(node);
      const abstract = hasModifier(node, SyntaxKind.AbstractKeyword) ? "abstract " : "";
      return {
        ...base,
        kind: "class",
        heading: `${abstract}class ${name}${this.#typeParameters(node)}${extended ? ` extends ${extended}` : ""}`,
        signatures: abstract ? [] : (this.#constructors(name, symbol) ?? []),
        docs: withConstructor(docs, this.#constructorDocs(symbol)),
        members: this.#members(symbol),
      };
    }
    if (symbol.flags & SymbolFlags.Interface) {
      const extended = this.#extended(node);
      return {
        ...base,
        kind: "interface",
        heading: `interface ${name}${this.#typeParameters(node)}${extended.length ? ` extends ${extended.join(", ")}` : ""}`,
        members: this.#members(symbol),
      };
    }
    if (symbol.flags & SymbolFlags.TypeAlias) {
      const members = this.#spelledOut(symbol, node);
      if (members) return { ...base, kind: "interface", heading: `type ${name}`, members };
      const text = `type ${name}${this.#typeParameters(node)} = ${this.#plain(node.type)}`;
      return { ...base, kind: "type", signatures: [text] };
    }
    if (!(symbol.flags & (SymbolFlags.Function | SymbolFlags.Variable))) {
      throw new Error(`${base.file}: ${name} is exported, and the reference knows no such kind of thing`);
    }
    return { ...base, kind: "function", signatures: this.#callables(name, symbol, nodes) };
  }

  /** Declarations, overloads without the implementation that they hide. */
  #nodes(symbol) {
    const nodes = symbol.declarations.map((handle) => handle.resolve(this.project));
    const overloads = nodes.filter(({ body }) => !body);
    return nodes.length > 1 && overloads.length > 0 ? overloads : nodes;
  }

  /** `name(a: A, b = 1): R` for each overload: as it is written, or as the compiler infers it. */
  #callables(name, symbol, nodes) {
    const written = nodes
      .filter(({ parameters }) => parameters !== undefined)
      .filter((node) => !isInternal(docText(node)));
    if (written.length > 0) return written.map((node) => this.#written(name, node));
    const type = this.checker.getTypeOfSymbol(symbol);
    const calls = this.checker.getSignaturesOfType(type, SignatureKind.Call);
    if (calls.length === 0) return [`${name}: ${this.checker.typeToString(type)}`];
    return calls.map((signature) => {
      const node = this.checker.signatureToSignatureDeclaration(
        signature,
        SyntaxKind.FunctionDeclaration,
        undefined,
        NodeBuilderFlags.NoTruncation,
      );
      return oneLine(this.project.emitter.printNode(node))
        .replace(/^function \(/, `${name}(`)
        .replace(/;$/, "")
        .replaceAll("number | Tensor", "Tensor | number");
    });
  }

  #written(name, node) {
    const parameters = (node.parameters ?? []).map((parameter) => {
      const isPattern = parameter.name.kind === SyntaxKind.ObjectBindingPattern;
      const optional = parameter.questionToken || (isPattern && parameter.initializer) ? "?" : "";
      const rest = parameter.dotDotDotToken ? "..." : "";
      const type = parameter.type ? `: ${this.#plain(parameter.type)}` : "";
      const value = parameter.initializer?.getText();
      if (value === "{}" || isPattern) return `${rest}${isPattern ? "options" : parameter.name.getText()}?${type}`;
      return `${rest}${parameter.name.getText()}${optional}${type}${value === undefined ? "" : ` = ${value}`}`;
    });
    const result = node.type ? `: ${this.#plain(node.type)}` : this.#inferredResult(node);
    return `${name}${this.#typeParameters(node)}(${parameters.join(", ")})${result}`;
  }

  #inferredResult(node) {
    if (node.kind === SyntaxKind.Constructor) return "";
    const signature = this.checker.getSignatureFromDeclaration(node);
    return `: ${this.checker.typeToString(this.checker.getReturnTypeOfSignature(signature))}`;
  }

  #constructors(name, symbol) {
    const found = this.#constructorNodes(symbol);
    return found ? found.map((node) => `new ${this.#written(name, node)}`) : [`new ${name}()`];
  }

  #constructorDocs(symbol) {
    for (const node of this.#constructorNodes(symbol) ?? []) {
      const docs = readTags(node);
      if (docs) return docs;
    }
    return null;
  }

  /** The public constructors of a class, or of the class that it takes them from; null when nobody writes one. */
  #constructorNodes(symbol) {
    const node = symbol.declarations[0].resolve(this.project);
    const all = (node.members ?? []).filter(({ kind }) => kind === SyntaxKind.Constructor);
    if (all.length === 0) {
      const base = this.#baseOf(node);
      return base && this.#isOurs(base) ? this.#constructorNodes(base) : null;
    }
    const overloads = all.filter(({ body }) => !body);
    return (overloads.length > 0 ? overloads : all).filter(
      (item) => !hasModifier(item, SyntaxKind.ProtectedKeyword) && !isInternal(docText(item)),
    );
  }

  /** The class that `node` extends, as a symbol. */
  #baseOf(node) {
    const clause = node.heritageClauses?.find(({ token }) => token === SyntaxKind.ExtendsKeyword);
    return clause && this.#target(clause.types[0].expression);
  }

  /** What a class or interface extends, as far as it can be imported: a private base is passed over for its own. */
  #extended(node) {
    const clause = node.heritageClauses?.find(({ token }) => token === SyntaxKind.ExtendsKeyword);
    if (!clause) return [];
    if (node.kind === SyntaxKind.InterfaceDeclaration) return clause.types.map((type) => this.#plain(type));
    const base = this.#baseOf(node);
    if (!base || !this.#isOurs(base)) return clause.types.map((type) => type.getText());
    if (this.#exported.has(base.id)) return clause.types.map((type) => this.#plain(type));
    return this.#extended(base.declarations[0].resolve(this.project));
  }

  #typeParameters(node) {
    if (!node.typeParameters?.length) return "";
    return `<${node.typeParameters.map((parameter) => this.#plain(parameter)).join(", ")}>`;
  }

  /** Public members: a class's own and those of private bases; an interface's own. */
  #members(symbol) {
    const members = [];
    const seen = new Set();
    for (let at = symbol; at; ) {
      const node = at.declarations[0].resolve(this.project);
      const tables = [at.getMembers(), at.getExports()];
      const own = tables.flatMap((table) => [...table.values()]);
      for (const member of this.#sorted(own)) {
        const described = this.#member(member, node);
        if (!described || seen.has(described.name)) continue;
        seen.add(described.name);
        members.push(described);
      }
      const base = node.kind === SyntaxKind.ClassDeclaration ? this.#baseOf(node) : undefined;
      at = base && this.#isOurs(base) && !this.#exported.has(base.id) ? base : undefined;
    }
    return [...members.filter(({ kind }) => kind === "property"), ...members.filter(({ kind }) => kind === "method")];
  }

  /** The properties of an alias that is put together from types nobody can import, or null for any other. */
  #spelledOut(symbol, node) {
    let isPrivate = false;
    const visit = (at) => {
      if (at.kind === SyntaxKind.TypeReference) {
        const target = this.#target(at.typeName);
        if (target && !this.#exported.has(target.id) && target.flags & SymbolFlags.Interface) {
          isPrivate ||= this.#isOurs(target);
        }
      }
      at.forEachChild((child) => {
        visit(child);
      });
    };
    visit(node.type);
    if (!isPrivate) return null;
    return this.checker.getPropertiesOfType(this.checker.getDeclaredTypeOfSymbol(symbol)).map((property) => {
      const type = this.checker.typeToString(
        this.checker.getTypeOfSymbol(property),
        undefined,
        NodeBuilderFlags.NoTruncation,
      );
      const nodes = this.#nodes(property);
      const optional = property.flags & SymbolFlags.Optional ? "?" : "";
      const shown = oneLine(type).replace(/ \| undefined$/, "");
      return {
        name: property.name,
        kind: "property",
        signatures: [`${property.name}${optional}: ${shown}`],
        docs: this.#docs(nodes),
        isOverride: false,
      };
    });
  }

  #target(name) {
    const symbol = this.checker.getSymbolAtLocation(name);
    return symbol && symbol.flags & SymbolFlags.Alias ? this.checker.getAliasedSymbol(symbol) : symbol;
  }

  /** Whether a symbol is declared in this package, not in one that it uses. */
  #isOurs(symbol) {
    const path = relative(this.root, symbol.declarations[0].resolve(this.project).getSourceFile().fileName);
    return !path.startsWith("..") && !path.includes("node_modules");
  }

  #sorted(symbols) {
    const places = symbols
      .filter(({ declarations }) => declarations.length > 0)
      .map((symbol) => ({ symbol, at: symbol.declarations[0].resolve(this.project).getStart() }));
    return places.sort((a, b) => a.at - b.at).map(({ symbol }) => symbol);
  }

  #member(symbol, owner) {
    const nodes = this.#nodes(symbol);
    const node = nodes[0];
    const hidden = [SyntaxKind.PrivateKeyword, SyntaxKind.ProtectedKeyword];
    if (nodes.some((item) => hidden.some((kind) => hasModifier(item, kind)))) return null;
    if ([SyntaxKind.Constructor, SyntaxKind.TypeParameter].includes(node.kind)) return null;
    const written = node.name?.getText() ?? symbol.name;
    if (written.startsWith("#")) return null;
    const docs = this.#docs(nodes);
    if (isInternal(nodes.map(docText).join("\n"))) return null;
    const prefix = [
      [SyntaxKind.StaticKeyword, "static "],
      [SyntaxKind.AbstractKeyword, "abstract "],
    ]
      .filter(([kind]) => hasModifier(node, kind))
      .map(([, text]) => text)
      .join("");
    const isMethod = [SyntaxKind.MethodDeclaration, SyntaxKind.MethodSignature].includes(node.kind);
    const isOverride = hasModifier(node, SyntaxKind.OverrideKeyword);
    if (isMethod) {
      const star = node.asteriskToken ? "*" : "";
      const signatures = nodes
        .filter((item) => !isInternal(docText(item)))
        .map((item) => `${prefix}${this.#written(`${star}${written}`, item)}`);
      return { name: written, kind: "method", signatures, docs, isOverride };
    }
    const accessors = new Set(nodes.map(({ kind }) => kind));
    const isReadonly =
      hasModifier(node, SyntaxKind.ReadonlyKeyword) ||
      (accessors.has(SyntaxKind.GetAccessor) && !accessors.has(SyntaxKind.SetAccessor));
    const optional = (node.questionToken ?? node.postfixToken) ? "?" : "";
    const type = node.type ? this.#plain(node.type) : this.checker.typeToString(this.checker.getTypeOfSymbol(symbol));
    const readonly = isReadonly && owner.kind === SyntaxKind.ClassDeclaration ? "readonly " : "";
    return {
      name: written,
      kind: "property",
      signatures: [`${prefix}${readonly}${written}${optional}: ${type}`],
      docs,
      isOverride,
    };
  }

  #docs(nodes) {
    const own = nodes.map((node) => readTags(node)).filter((docs) => docs !== null);
    if (own.length > 0) {
      return {
        text: own
          .map(({ text }) => text)
          .filter(Boolean)
          .join("\n\n"),
        parameters: own.flatMap(({ parameters }) => parameters),
        returns: own
          .map(({ returns }) => returns)
          .filter(Boolean)
          .join(" "),
        throws: own.flatMap(({ throws }) => throws),
      };
    }
    return { text: "", parameters: [], returns: "", throws: [] };
  }

  /** A type as it is written, with names that cannot be imported replaced by what they stand for. */
  #plain(node) {
    const start = node.getStart();
    let text = node.getText();
    const replaced = [];
    const visit = (at) => {
      if (at.kind === SyntaxKind.TypeReference && !at.typeArguments?.length) {
        const isQualified = at.typeName.kind === SyntaxKind.QualifiedName; // `shaping.MemoryFormat`
        const meaning = isQualified ? at.typeName.right.getText() : this.#privateMeaning(at);
        if (meaning !== null) {
          replaced.push([at.getStart() - start, at.getEnd() - start, meaning]);
          return;
        }
      }
      at.forEachChild((child) => {
        visit(child);
      });
    };
    visit(node);
    for (const [from, to, meaning] of replaced.sort((a, b) => b[0] - a[0])) {
      text = `${text.slice(0, from)}${meaning}${text.slice(to)}`;
    }
    return oneLine(withoutComments(text));
  }

  /** What a private type alias or enumeration of names stands for, or null when the name may stay. */
  #privateMeaning(reference) {
    const symbol = this.#target(reference.typeName);
    if (!symbol || this.#exported.has(symbol.id) || !(symbol.flags & SymbolFlags.TypeAlias)) return null;
    const node = symbol.declarations[0].resolve(this.project);
    if (!this.#isOurs(symbol) || node.typeParameters?.length) return null;
    const text = this.#plain(node.type);
    return node.type.kind === SyntaxKind.UnionType && reference.parent?.kind !== SyntaxKind.Parameter
      ? `(${text})`
      : text;
  }
}

function isModule(symbol) {
  return Boolean(symbol.flags & SymbolFlags.Module);
}

function hasModifier(node, kind) {
  return Boolean(node.modifiers?.some((modifier) => modifier.kind === kind));
}

/** The last comment before a declaration; of a constant, the one before its statement. */
function docNode(node) {
  for (let at = node; at; at = at.parent) {
    const found = at.jsDoc?.at(-1);
    if (found) return found;
    if (at !== node && at.kind !== SyntaxKind.VariableDeclarationList && at.kind !== SyntaxKind.VariableStatement)
      break;
    if (at.kind !== SyntaxKind.VariableDeclaration && at.kind !== SyntaxKind.VariableDeclarationList) break;
  }
  return undefined;
}

function docText(node) {
  const text = docNode(node)?.getText() ?? "";
  return text.slice(Math.max(text.lastIndexOf("/**"), 0)); // without what stands above it, a file's header
}

/** Marked so in words, or by `@internal`: not for users. */
function isInternal(text) {
  return /(^|[\s*])(@internal\b|Internal\b[.:,])/.test(text);
}

/** A docstring taken apart, or null where there is none. Tags may stand in the middle of a line, as here they often do. */
function readTags(node) {
  const comment = docText(node);
  if (comment === "") return null;
  const lines = comment
    .replace(/^\/\*\*/, "")
    .replace(/\*\/$/, "")
    .split("\n")
    .map((line, at) => (at === 0 ? line.trim() : line.replace(/^\s*\* ?/, "")).trimEnd());
  const [text, ...tags] = lines
    .join("\n")
    .trim()
    .split(/(?:^|\s)@(?=(?:param|returns?|throws|internal)\b)/);
  const docs = { text: text.trim(), parameters: [], returns: "", throws: [] };
  for (const tag of tags) {
    const [, kind, body] = /^(\w+)\s*([\s\S]*)$/.exec(tag.trim());
    const words = body.replace(/\s*\n\s*/g, " ").trim();
    if (kind === "param") {
      const [, name, said] = /^(\S+)\s*(?:- )?([\s\S]*)$/.exec(words);
      docs.parameters.push({ name, text: said });
    } else if (kind === "throws") docs.throws.push(words);
    else if (kind !== "internal") docs.returns = words;
  }
  return docs;
}

function withConstructor(docs, made) {
  if (!made) return docs;
  return {
    text: [docs.text, made.text].filter(Boolean).join("\n\n"),
    parameters: [...docs.parameters, ...made.parameters],
    returns: docs.returns,
    throws: [...docs.throws, ...made.throws],
  };
}

function withoutComments(text) {
  return text.replace(/\/\*[\s\S]*?\*\//g, "").replace(/\/\/[^\n]*/g, "");
}

/** White space as in a line: none inside brackets, none left of a comma that ends a list. */
function oneLine(text) {
  return text
    .replace(/\s+/g, " ")
    .replace(/\(\s+/g, "(")
    .replace(/,?\s+\)/g, ")")
    .replace(/;\s*\}/g, " }")
    .replace(/^\| /, "")
    .replace(/= \| /g, "= ")
    .replace(/\?: ([^,()]*) \| undefined\b/g, "?: $1")
    .trim();
}
