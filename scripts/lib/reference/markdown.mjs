// The reference as Markdown: a page for each family, and an index of every name.

const NOTE =
  "<!-- Made from the docstrings of packages/torch/src by scripts/api-reference.mjs: change them and run it again. -->";
const LONGEST_LINE = 100;

/**
 * @param {import("./model.mjs").Namespace[]} namespaces
 * @param {import("./families.mjs").Page[]} pages
 * @param {string} sources - folder of the sources, relative to the root, with a slash at its end
 * @returns {Map<string, string>} text of each file by name
 * @throws Error for an export whose source file no page has
 */
export function renderReference(namespaces, pages, sources) {
  const placed = placeEntries(namespaces, pages, sources);
  const links = new Links(placed);
  const files = new Map([["README.md", renderIndex(placed, links)]]);
  for (const page of placed) files.set(`${page.name}.md`, renderPage(page, links, sources));
  return files;
}

/** Every entry in its part of a page, as `torch.` users write it, in the order of the source. */
function placeEntries(namespaces, pages, sources) {
  const claimed = new Set(
    pages.flatMap(({ parts }) => parts.flatMap(({ only, file }) => (only ?? []).map((name) => `${file} ${name}`))),
  );
  const left = new Set();
  const byFile = new Map();
  for (const { name: namespace, entries } of namespaces) {
    for (const entry of entries) {
      const path = namespace === "" ? entry.name : `${namespace}.${entry.name}`;
      const file = entry.file.slice(sources.length);
      byFile.set(file, [...(byFile.get(file) ?? []), { ...entry, path }]);
      left.add(path);
    }
  }
  const placed = pages.map((page) => ({
    ...page,
    parts: page.parts.map((part) => {
      const here = (byFile.get(part.file) ?? []).filter(({ name }) =>
        part.only ? part.only.includes(name) : !claimed.has(`${part.file} ${name}`),
      );
      for (const { path } of here) left.delete(path);
      return { ...part, entries: here.sort((a, b) => a.position - b.position) };
    }),
  }));
  if (left.size > 0) {
    throw new Error(`scripts/lib/reference/families.mjs: no page has the source file of ${[...left].join(", ")}`);
  }
  return placed;
}

/** Addresses of headings, as GitHub makes them, and names in prose that become links. */
class Links {
  #targets = new Map();

  constructor(pages) {
    for (const page of pages) {
      const slugs = new Map();
      const slugOf = (heading) => {
        const plain = heading
          .toLowerCase()
          .replace(/[^\p{L}\p{N}_ -]/gu, "")
          .replaceAll(" ", "-");
        const times = slugs.get(plain) ?? 0;
        slugs.set(plain, times + 1);
        return times === 0 ? plain : `${plain}-${times}`;
      };
      slugOf(page.title);
      for (const part of page.parts) {
        part.slug = slugOf(part.title);
        for (const entry of part.entries) {
          this.#targets.set(entry.path, { page: page.name, slug: slugOf(entry.path), kind: entry.kind });
        }
      }
    }
  }

  has(path) {
    return this.#targets.has(path);
  }

  /** `[name](page.md#slug)`; nothing else on the page itself. */
  to(path, from, label = `\`${path}\``) {
    const { page, slug } = this.#targets.get(path);
    return `[${label}](${page === from ? "" : `${page}.md`}#${slug})`;
  }

  /** A docstring's text, safe in Markdown, with names in backquotes that lead to their entries. */
  prose(text, from, self) {
    return text
      .split(/(`[^`]*`)/)
      .map((piece) => {
        if (!piece.startsWith("`"))
          return piece.replace(/[*<>]/g, (letter) => ({ "*": "\\*", "<": "&lt;", ">": "&gt;" })[letter]);
        const name = piece.slice(1, -1);
        const path = [
          self.startsWith("nn.") ? `nn.${name}` : name,
          self.startsWith("optim.") ? `optim.${name}` : name,
          name,
        ].find((candidate) => this.has(candidate));
        return path === undefined || path === self || NOT_LINKED.has(name) ? piece : this.to(path, from, piece);
      })
      .join("");
  }
}

/** Names of exports that docstrings use for something else too: parameters, shapes, options. */
const NOT_LINKED = new Set([
  "mean",
  "max",
  "min",
  "sum",
  "index",
  "scope",
  "gather",
  "dropout",
  "add",
  "all",
  "any",
  "round",
  "norm",
  "std",
  "linear",
  "version",
  "where",
  "pad",
  "repeat",
  "equal",
]);

function renderIndex(pages, links) {
  const lines = [
    NOTE,
    "# API reference of @stopgrad/torch",
    "",
    "What every export does, with shapes, ranges and errors, from the docstrings of the source. How to begin is told in the",
    "[README of the package](../../packages/torch/README.md).",
    "",
    '```js\nimport * as torch from "@stopgrad/torch"; // torch.zeros, torch.nn.Linear, torch.optim.Adam\n```',
    "",
    "Letters in shapes: N batch, C channels, L length, H and W height and width, D features or depth, K classes or outputs, B",
    "matrices of a batch; `…` any dimensions, `[]` a scalar. A name that ends in `_` changes its first argument.",
    "",
    "| page | holds |",
    "| --- | --- |",
    ...pages.map(({ name, title, summary }) => `| [${title}](${name}.md) | ${summary} |`),
  ];
  for (const page of pages) {
    lines.push("", `## ${page.title}`);
    for (const part of page.parts) {
      const names = part.entries.map(({ path }) => links.to(path, ""));
      if (names.length > 0) lines.push("", `**[${part.title}](${page.name}.md#${part.slug})**: ${names.join(" · ")}`);
    }
  }
  return `${lines.join("\n")}\n`;
}

function renderPage(page, links, sources) {
  const lines = [NOTE, `# ${page.title}`, "", `${page.summary} Back to the [index](README.md).`, ""];
  for (const part of page.parts) {
    if (part.entries.length > 0) lines.push(`- [${part.title}](#${part.slug})`);
  }
  for (const part of page.parts) {
    if (part.entries.length === 0) continue;
    lines.push("", `## ${part.title}`, "");
    if (part.intro) lines.push(part.intro, "");
    lines.push(`Source: [${part.file}](../../${sources}${part.file})`);
    for (const entry of part.entries) lines.push("", ...renderEntry(entry, page.name, links));
  }
  return `${lines.join("\n")}\n`;
}

function renderEntry(entry, page, links) {
  const { path, kind, heading, signatures, docs, members } = entry;
  const prose = (text) => links.prose(text, page, path);
  const lines = [`### ${path}`, ""];
  const isShape = kind === "interface";
  const code = isShape ? [heading] : kind === "class" ? [heading, ...signatures] : signatures;
  lines.push("```ts", ...code.map(wrapped), "```");
  if (docs.text) lines.push("", prose(docs.text));
  const notes = [
    ...docs.parameters.map(({ name, text }) => `- \`${name}\`: ${prose(text)}`),
    ...(docs.returns ? [`- Returns ${prose(docs.returns)}.`] : []),
    ...docs.throws.map((text) => `- Throws ${prose(text)}.`),
  ];
  if (notes.length > 0) lines.push("", ...notes);
  const shown = members.filter((member) => isWorthShowing(member));
  const isDescribed = ({ docs: { text, parameters, returns, throws } }) =>
    text !== "" || returns !== "" || parameters.length > 0 || throws.length > 0;
  const plain = isShape ? [] : shown.filter((member) => member.kind === "property" && !isDescribed(member));
  const described = shown.filter((member) => !plain.includes(member));
  if (plain.length > 0) {
    lines.push(
      "",
      `Properties: ${plain.map(({ signatures: [text] }) => `\`${text.replace("readonly ", "")}\``).join(", ")}.`,
    );
  }
  if (described.length > 0) {
    lines.push("");
    for (const member of described) lines.push(...renderMember(member, prose));
  }
  return lines;
}

/** Not the plain `forward` that every layer has, nor what an override leaves as it is. */
function isWorthShowing({ isOverride, docs, signatures }) {
  if (docs.text !== "" || !isOverride) return true;
  return signatures[0].startsWith("forward(") && !/^forward\((input: Tensor)?\)/.test(signatures[0]);
}

function renderMember({ signatures, docs }, prose) {
  const said = [
    docs.text,
    ...docs.parameters.map(({ name, text }) => `\`${name}\`: ${text}.`),
    docs.returns && `Returns ${docs.returns}.`,
    ...docs.throws.map((text) => `Throws ${text}.`),
  ].filter(Boolean);
  const text = said
    .map((piece) =>
      prose(piece)
        .replace(/\n{2,}/g, "\n")
        .replaceAll("\n", "\n  "),
    )
    .join(" ");
  return [`- ${signatures.map((signature) => `\`${signature}\``).join(", ")}${text ? `: ${text}` : ""}`];
}

/** A signature that is too long for a line, with a parameter on each. */
function wrapped(signature) {
  if (signature.length <= LONGEST_LINE) return signature;
  const open = signature.indexOf("(");
  if (open < 0 || signature.startsWith("type "))
    return signature.replaceAll(" | ", "\n  | ").replace(" = ", " =\n  | ");
  const pieces = [];
  let depth = 0;
  let start = open + 1;
  let close = signature.length;
  for (let at = open; at < signature.length; at++) {
    const letter = signature[at];
    if ("([{<".includes(letter)) depth++;
    else if (")]}".includes(letter) || (letter === ">" && signature[at - 1] !== "=")) depth--;
    if ((letter === "," && depth === 1) || depth === 0) {
      pieces.push(signature.slice(start, at).trim());
      start = at + 1;
    }
    if (depth === 0) {
      close = at;
      break;
    }
  }
  return `${signature.slice(0, open + 1)}\n${pieces.map((piece) => `  ${piece},\n`).join("")}${signature.slice(close)}`;
}
