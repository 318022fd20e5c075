import { execFileSync } from "node:child_process";
import {
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  realpathSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeEach, describe, expect, it } from "vitest";
import { writeWhole } from "../../src/files/atomic-write.js";
import {
  FileFormatError,
  saveCheckpoint,
  saveSafetensors,
  scope,
  tensor,
  writeNpy,
  writeNpz,
} from "../../src/index.js";
import { builtPackage } from "../support/child.js";

const folder = realpathSync(mkdtempSync(join(tmpdir(), "stopgrad-atomic-")));
const path = join(folder, "x");
beforeEach(() => {
  rmSync(folder, { recursive: true, force: true });
  mkdirSync(folder);
});
afterAll(() => rmSync(folder, { recursive: true }));

const writers: Record<string, (path: string) => void> = {
  writeNpy: (path) => scope(() => writeNpy(path, tensor([1, 2]))),
  writeNpz: (path) => scope(() => writeNpz(path, { a: tensor([1, 2]) })),
  saveSafetensors: (path) => scope(() => saveSafetensors(path, new Map([["a", tensor([1, 2])]]))),
  saveCheckpoint: (path) => scope(() => saveCheckpoint(path, { a: tensor([1, 2]) })),
};

describe("writeWhole", () => {
  it("writes in pieces, also over what it wrote", () => {
    writeWhole(path, (write) => {
      write(Buffer.from("abc"));
      write(Buffer.from("def"));
      write(Buffer.from("B"), 1);
      write(Buffer.from("g"));
    });
    expect(readFileSync(path, "utf8")).toBe("aBcdefg");
  });

  it("keeps what stood there when its body throws, and passes the error on", () => {
    writeFileSync(path, "before");
    const error = new Error("body");
    expect(() =>
      writeWhole(path, (write) => {
        write(Buffer.from("half"));
        throw error;
      }),
    ).toThrow(error);
    expect([readdirSync(folder), readFileSync(path, "utf8")]).toEqual([["x"], "before"]);
  });

  it("writes through a symbolic link, and over one that leads nowhere", () => {
    const link = join(folder, "link");
    writeFileSync(path, "before");
    symlinkSync("x", link);
    writeWhole(link, (write) => write(Buffer.from("after")));
    expect([readFileSync(path, "utf8"), readlinkSync(link)]).toEqual(["after", "x"]);
    rmSync(path);
    writeWhole(link, (write) => write(Buffer.from("new")));
    expect([readFileSync(link, "utf8"), lstatSync(link).isFile()]).toEqual(["new", true]);
  });

  it("takes a name as long as the file system does", () => {
    for (const name of ["n".repeat(255), "\u00e4".repeat(127), "\u{1f600}".repeat(63)]) {
      writeWhole(join(folder, name), (write) => write(Buffer.from("1")));
      expect(readdirSync(folder)).toEqual([name]);
      rmSync(join(folder, name));
    }
    expect(() => writeWhole(join(folder, "n".repeat(256)), () => {})).toThrow(
      /cannot be written: the name is too long/,
    );
    expect(readdirSync(folder)).toEqual([]);
  });
});

describe.each(Object.entries(writers))("%s", (_, write) => {
  it("names the file and the reason", () => {
    mkdirSync(join(folder, "taken"));
    writeFileSync(join(folder, "file"), "");
    symlinkSync("circle", join(folder, "circle"));
    for (const [target, reason] of [
      [join(folder, "taken"), "this is a folder, give the name of a file"],
      [`${join(folder, "new")}/`, "this is a folder, give the name of a file"],
      [join(folder, "none", "x"), "the folder does not exist"],
      [join(folder, "file", "x"), "part of the path is not a folder"],
      [join(folder, "circle"), "its symbolic links lead in a circle"],
    ] as const) {
      expect(() => write(target)).toThrow(new FileFormatError(target, `it cannot be written: ${reason}`));
    }
    expect(readdirSync(folder).sort()).toEqual(["circle", "file", "taken"]);
    write(path);
    expect(readdirSync(folder).sort()).toEqual(["circle", "file", "taken", "x"]);
  });
});

/** Every writer in a process of its own, under the shell command `setting`: messages, and what the folder holds then. */
function inSetting(setting: string, wrapper: string[] = []): { messages: string[]; left: string[] } {
  const script = `
    import * as torch from "${builtPackage}";
    import { readdirSync } from "node:fs";
    const folder = ${JSON.stringify(folder)};
    const big = torch.zeros([1 << 20]);
    const messages = [
      (path) => torch.writeNpy(path, big),
      (path) => torch.writeNpz(path, { big }),
      (path) => torch.saveSafetensors(path, new Map([["big", big]])),
      (path) => torch.saveCheckpoint(path, { big }),
    ].map((write, at) => {
      try {
        write(folder + "/x" + at);
      } catch (error) {
        return error.name + ": " + error.message;
      }
      return "written";
    });
    console.log(JSON.stringify({ messages, left: readdirSync(folder) }));`;
  const command = `${setting} && exec "$0" --input-type=module --eval "$1"`;
  const words = [...wrapper, "sh", "-c", command, process.execPath, script];
  return JSON.parse(execFileSync(words[0]!, words.slice(1), { encoding: "utf8" }));
}

const everyFile = (reason: string) =>
  [0, 1, 2, 3].map((at) => `FileFormatError: ${folder}/x${at}: it cannot be written: ${reason}`);

it("leaves nothing behind when a file may not grow further", () => {
  expect(inSetting(`trap "" XFSZ && ulimit -f 100`)).toEqual({
    messages: everyFile("the file is larger than the system or this user's limit permits"),
    left: [],
  });
});

// A small file system of its own, where the system lets users have one.
const namespace = ["unshare", "--map-root-user", "--mount"];
const canMount = (() => {
  try {
    execFileSync(namespace[0]!, [...namespace.slice(1), "mount", "-t", "tmpfs", "tmpfs", folder], { stdio: "ignore" });
    return true;
  } catch {
    console.warn("skipped: full and read-only file systems, because this system permits no mount namespace");
    return false;
  }
})();

describe.skipIf(!canMount)("on a file system of its own", () => {
  it("says that the disk is full, and leaves nothing behind", () => {
    const mounted = inSetting(`mount -t tmpfs -o size=1m tmpfs ${folder}`, namespace);
    expect(mounted).toEqual({ messages: everyFile("the disk is full"), left: [] });
  });

  it("says that it is read-only", () => {
    const mounted = inSetting(`mount -t tmpfs -o ro tmpfs ${folder}`, namespace);
    expect(mounted).toEqual({ messages: everyFile("the file system is read-only"), left: [] });
  });
});
