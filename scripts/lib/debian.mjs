// A Debian in a folder: made by debootstrap once, then given what stopgrad needs. apt inside reaches its mirror as this
// machine's apt does; what this machine does not say is Debian's public default.

import {
  cpSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { dirname, join } from "node:path";
import { inPrivate, inside } from "./chroot.mjs";
import { run, runOrFail } from "./command.mjs";
import { readIfThere, writeWhole } from "./files.mjs";
import { Problem, task } from "./say.mjs";

const SUITE = "trixie";
const ARCHIVE = "http://deb.debian.org/debian";
const SECURITY = "http://deb.debian.org/debian-security";
const KEYRING = "/usr/share/keyrings/debian-archive-keyring.gpg";

/** Python's torch is there for tests that load in PyTorch what was written here. */
const PACKAGES = [
  ..."ca-certificates git g++ nodejs npm libtorch-dev libopenblas0-pthread".split(" "),
  ..."python3 python3-numpy python3-torch".split(" "),
];

/** Written when debootstrap has come to its end; marks the folder as ours. */
const STAMP = "etc/stopgrad-debian";

/** Settings that say how to reach other machines, the same for every program. */
export function proxySettings() {
  const names = ["http_proxy", "https_proxy", "no_proxy"].flatMap((name) => [name, name.toUpperCase()]);
  return Object.fromEntries(names.map((name) => [name, process.env[name]]));
}

/**
 * Makes Debian 13 in a folder, or completes what an earlier call began.
 *
 * @param {string} folder - where to; its parent is created. Takes about 4 GB
 * @throws {Problem} when the folder holds something else, or a step fails
 */
export async function makeDebian(folder) {
  const sources = mirrors();
  if (!existsSync(join(folder, STAMP))) await bootstrap(folder, sources.archive);
  await configureApt(folder, sources);
  for (const name of ["resolv.conf", "hosts"])
    cpSync(join("/etc", name), join(folder, "etc", name), { dereference: true });
  const missing = missingPackages(folder);
  if (missing.length === 0) return;
  const env = { ...proxySettings(), DEBIAN_FRONTEND: "noninteractive" };
  const step = (command, sentence) => runOrFail(inside(folder, command, { env }), sentence, { gentle: true });
  // An installation that was cut off is finished before apt begins another.
  await step(["dpkg", "--configure", "-a"], `dpkg in ${folder} cannot finish what it began: see the lines above.`);
  await task("updating its package lists", () =>
    step(["apt-get", "-q", "update"], `apt in ${folder} cannot update its lists: see the lines above.`),
  );
  await task(`installing ${missing.join(" ")}`, () =>
    step(
      ["apt-get", "-q", "install", "-y", "--fix-broken", "--no-install-recommends", ...missing],
      `apt in ${folder} cannot install the packages: see the lines above.`,
    ),
  );
  await step(["apt-get", "clean"], `apt in ${folder} cannot remove the packages it downloaded.`);
}

/** Unpacks the base system beside the folder, and renames it when it is whole. */
async function bootstrap(folder, mirror) {
  if (existsSync(folder) && (!statSync(folder).isDirectory() || readdirSync(folder).length > 0)) {
    throw new Problem(
      `expected a folder of this script's, an empty one or none, got ${folder}, which holds other things.`,
    );
  }
  const part = `${folder}.part`;
  // No mount of an attempt that was cut off is left here: they were private to it.
  await runOrFail(["rm", "-rf", "--one-file-system", "--", part], `${part} cannot be removed: see the lines above.`);
  mkdirSync(dirname(folder), { recursive: true });
  const keyring = existsSync(KEYRING) ? [`--keyring=${KEYRING}`] : [];
  await task(`unpacking Debian 13 into ${folder}`, () =>
    runOrFail(
      inPrivate(["debootstrap", "--variant=minbase", ...keyring, SUITE, part, mirror]),
      "debootstrap failed: see the lines above.",
    ),
  );
  writeFileSync(join(part, STAMP), `${SUITE}\n`);
  rmSync(folder, { recursive: true, force: true });
  renameSync(part, folder);
}

/**
 * The mirrors that this machine's apt uses for its own Debian, read from sources.list and its like.
 *
 * @returns {{ archive: string, security: string }} addresses
 */
function mirrors() {
  const codename = readIfThere("/etc/os-release")?.match(/^VERSION_CODENAME=(\w+)/m)?.[1];
  const found = {};
  for (const { uri, suite } of entries()) {
    if (suite === codename && /\/debian\/?$/.test(uri)) found.archive ??= uri;
    if (suite === `${codename}-security`) found.security ??= uri;
  }
  return { archive: found.archive ?? ARCHIVE, security: found.security ?? SECURITY };
}

/** Every address and suite that this machine's apt reads, in both of the forms that its lists have. */
function entries() {
  const folder = "/etc/apt/sources.list.d";
  const names = existsSync(folder) ? readdirSync(folder).sort() : [];
  const oneLine = [
    "/etc/apt/sources.list",
    ...names.filter((name) => name.endsWith(".list")).map((name) => join(folder, name)),
  ]
    .flatMap((path) => (readIfThere(path) ?? "").split("\n"))
    .map((line) => line.match(/^\s*deb\s+(?:\[[^\]]*\]\s+)?(\S+)\s+(\S+)/))
    .flatMap((match) => (match === null ? [] : [{ uri: match[1], suite: match[2] }]));
  const stanzas = names
    .filter((name) => name.endsWith(".sources"))
    .flatMap((name) => readFileSync(join(folder, name), "utf8").split(/\n\s*\n/))
    .filter((stanza) => !/^Enabled:\s*no/im.test(stanza))
    .flatMap((stanza) =>
      field(stanza, "URIs").flatMap((uri) => field(stanza, "Suites").map((suite) => ({ uri, suite }))),
    );
  return [...oneLine, ...stanzas];
}

function field(stanza, name) {
  return (
    stanza
      .match(new RegExp(`^${name}:\\s*(.+)$`, "im"))?.[1]
      .trim()
      .split(/\s+/) ?? []
  );
}

/** Lists and settings for apt inside: this machine's mirrors with the suite renamed, and its way through proxies. */
async function configureApt(folder, { archive, security }) {
  const apt = join(folder, "etc", "apt");
  const lists = [
    `deb ${archive} ${SUITE} main`,
    `deb ${archive} ${SUITE}-updates main`,
    `deb ${security} ${SUITE}-security main`,
  ];
  writeWhole(join(apt, "sources.list"), `${lists.join("\n")}\n`);
  const { ok, standardOutput } = await run(["apt-config", "dump", "--no-empty"]);
  const kept = standardOutput.split("\n").filter((line) => /^Acquire::(http|https|ForceIPv4|Retries)\b/i.test(line));
  writeWhole(join(apt, "apt.conf.d", "90stopgrad"), ok ? `${kept.join("\n")}\n` : "");
}

/** Those of the packages that dpkg's own record in the folder does not call installed. */
function missingPackages(folder) {
  const stanzas = readFileSync(join(folder, "var", "lib", "dpkg", "status"), "utf8").split("\n\n");
  const installed = stanzas
    .filter((stanza) => /^Status: install ok installed$/m.test(stanza))
    .flatMap((stanza) => field(stanza, "Package"));
  return PACKAGES.filter((name) => !installed.includes(name));
}
