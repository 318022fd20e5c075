import { createHash } from "node:crypto";
import { existsSync } from "node:fs";
import { readFile, stat } from "node:fs/promises";
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import { expect, onTestFinished, test } from "vitest";
import type { RemoteFile } from "../../src/data/dataset.js";
import { fetchFile } from "../../src/data/fetch.js";
import { messageOf, put, temporaryFolder } from "./made-files.js";

const content = Buffer.from(Uint8Array.from({ length: 300_000 }, (_, i) => (i * i) >>> 5));
const sum = (bytes: Uint8Array) => createHash("md5").update(bytes).digest("hex");
const file: RemoteFile = {
  url: "https://official.invalid/file.bin",
  path: "set/file.bin",
  bytes: content.length,
  md5: sum(content),
};

async function expectContent(path: string): Promise<void> {
  expect(sum(await readFile(path))).toBe(file.md5);
}

/** A server on this machine; gives its address and what was asked of it (the Range header, or "all"). */
async function serve(answer: (request: IncomingMessage, response: ServerResponse, count: number) => void) {
  const asked: string[] = [];
  const server = createServer((request, response) => {
    asked.push(request.headers.range ?? "all");
    answer(request, response, asked.length);
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  onTestFinished(() => {
    server.closeAllConnections();
    server.close();
  });
  return { mirror: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, asked };
}

/** As a server that knows ranges answers, sending `limit` bytes and then cutting the connection. */
function send(
  request: IncomingMessage,
  response: ServerResponse,
  bytes: Uint8Array = content,
  limit = Number.POSITIVE_INFINITY,
) {
  const start = Number(/^bytes=(\d+)-$/.exec(request.headers.range ?? "bytes=0-")![1]);
  if (start >= bytes.length) return response.writeHead(416, { "content-range": `bytes */${bytes.length}` }).end();
  const headers = { "content-length": bytes.length - start };
  if (start === 0) response.writeHead(200, headers);
  else response.writeHead(206, { ...headers, "content-range": `bytes ${start}-${bytes.length - 1}/${bytes.length}` });
  const body = bytes.subarray(start, start + limit);
  if (body.length === bytes.length - start) return response.end(body);
  return response.write(body, () => setTimeout(() => response.destroy(), 20));
}

const quick = { pauseSeconds: 0.01 };
async function target() {
  const directory = await temporaryFolder();
  const path = join(directory, file.path);
  return { directory, path, part: `${path}.part` };
}

test("downloads, checks, reports progress, and leaves only the file", async () => {
  const { mirror, asked } = await serve((request, response) => send(request, response));
  const { directory, path, part } = await target();
  const progress: number[] = [];
  const onProgress = ({ file: name, bytes, total }: { file: string; bytes: number; total: number }) => {
    expect([name, total]).toEqual([file.path, content.length]);
    progress.push(bytes);
  };
  const fetched = await fetchFile("set", file, { directory, mirror: `${mirror}/`, onProgress });
  expect(fetched).toEqual({ path, url: `${mirror}/set/file.bin`, bytes: content.length, status: "downloaded" });
  await expectContent(path);
  expect(existsSync(part)).toBe(false);
  expect(progress).toEqual([...progress].sort((a, b) => a - b));
  expect(progress.at(-1)).toBe(content.length);
  expect((await fetchFile("set", file, { directory, mirror })).status).toBe("present");
  expect(asked).toEqual(["all"]);
});

test("a file that is there with another content is replaced", async () => {
  const { mirror } = await serve((request, response) => send(request, response));
  const { directory, path } = await target();
  await put(path, Buffer.alloc(content.length, 1));
  expect((await fetchFile("set", file, { directory, mirror })).status).toBe("downloaded");
  await expectContent(path);
});

test("continues a partial file", async () => {
  const { mirror, asked } = await serve((request, response) => send(request, response));
  const { directory, path, part } = await target();
  await put(part, content.subarray(0, 123_456));
  await fetchFile("set", file, { directory, mirror });
  await expectContent(path);
  expect(asked).toEqual(["bytes=123456-"]);
});

test("a partial file that is already whole needs no request; one that is too long starts again", async () => {
  const { mirror, asked } = await serve((request, response) => send(request, response));
  const first = await target();
  await put(first.part, content);
  await fetchFile("set", file, { directory: first.directory, mirror });
  expect(asked).toEqual([]);
  const second = await target();
  await put(second.part, Buffer.concat([content, content]));
  await fetchFile("set", file, { directory: second.directory, mirror });
  await expectContent(second.path);
  expect(asked).toEqual(["all"]);
});

test("a server that ignores ranges sends all, and all is taken", async () => {
  const { mirror, asked } = await serve((_, response) => response.end(content));
  const { directory, path, part } = await target();
  await put(part, Buffer.alloc(5000, 9));
  await fetchFile("set", file, { directory, mirror });
  await expectContent(path);
  expect(asked).toEqual(["bytes=5000-"]);
});

test.each([
  ["416", (response: ServerResponse) => response.writeHead(416).end()],
  [
    "another range",
    (response: ServerResponse) => response.writeHead(206, { "content-range": "bytes 7-9/300000" }).end("abc"),
  ],
  [
    "a range of another file",
    (response: ServerResponse) =>
      response.writeHead(206, { "content-range": "bytes 5000-5002/5003", "content-length": 3 }).end("abc"),
  ],
])("%s in answer to a range: starts again from the first byte", async (_, refuse) => {
  const { mirror, asked } = await serve((request, response) =>
    request.headers.range === undefined ? send(request, response) : refuse(response),
  );
  const { directory, path, part } = await target();
  await put(part, content.subarray(0, 5000));
  await fetchFile("set", file, { directory, mirror, ...quick });
  await expectContent(path);
  expect(asked).toEqual(["bytes=5000-", "all"]);
});

test("a connection that breaks again and again is continued as long as something new comes", async () => {
  const { mirror, asked } = await serve((request, response) => send(request, response, content, 40_000));
  const { directory, path } = await target();
  await fetchFile("set", file, { directory, mirror, attempts: 1, ...quick });
  await expectContent(path);
  expect(asked).toHaveLength(8);
  expect(asked[1]).toBe("bytes=40000-");
});

test("one that brings nothing more: one sentence, and what came is kept for the next time", async () => {
  const { mirror, asked } = await serve((request, response, count) =>
    count === 1 ? send(request, response, content, 1000) : response.destroy(),
  );
  const { directory, path, part } = await target();
  const message = await messageOf(fetchFile("set", file, { directory, mirror, attempts: 2, ...quick }));
  expect(message).toContain(`DatasetError: set: cannot download ${mirror}/set/file.bin: `);
  expect(message).toContain(
    `; what came is kept and continued next time; try again later, or put the file at ${path} by hand`,
  );
  expect(asked).toEqual(["all", "bytes=1000-", "bytes=1000-"]);
  expect((await stat(part)).size).toBe(1000);
  expect(existsSync(path)).toBe(false);
});

test("a body that ends early without an error is continued too", async () => {
  const { mirror } = await serve((request, response, count) => {
    if (count > 1) return send(request, response);
    response.writeHead(200, { "transfer-encoding": "chunked" });
    return response.end(content.subarray(0, 999));
  });
  const { directory, path } = await target();
  await fetchFile("set", file, { directory, mirror, ...quick });
  await expectContent(path);
});

test("wrong bytes: both sums, and nothing is left", async () => {
  const wrong = Buffer.from(content);
  wrong[77]! ^= 1;
  const { mirror } = await serve((request, response) => send(request, response, wrong));
  const { directory, path, part } = await target();
  expect(await messageOf(fetchFile("set", file, { directory, mirror }))).toBe(
    `DatasetError: set: ${mirror}/set/file.bin: expected MD5 ${file.md5}, found ${sum(wrong)}; the download was removed, fetch it again or put the official file at ${path}`,
  );
  expect([existsSync(path), existsSync(part)]).toEqual([false, false]);
});

test("another size is refused before it is downloaded", async () => {
  const page = "<html>gone</html>";
  const { mirror, asked } = await serve((_, response) =>
    response.writeHead(200, { "content-type": "text/html", "content-length": page.length }).end(page),
  );
  const { directory } = await target();
  expect(await messageOf(fetchFile("set", file, { directory, mirror, ...quick }))).toContain(
    "expected 300000 bytes, the server offers 17 (a web page); try again later",
  );
  expect(asked).toHaveLength(1);
});

test("more bytes than expected, without a length", async () => {
  const { mirror } = await serve((_, response) => {
    response.writeHead(200, { "transfer-encoding": "chunked" });
    response.end(Buffer.concat([content, content]));
  });
  const { directory } = await target();
  expect(await messageOf(fetchFile("set", file, { directory, mirror, ...quick }))).toContain(
    "expected 300000 bytes, the server sends more",
  );
});

test.each([
  [404, 1],
  [403, 1],
  [500, 3],
  [503, 3],
])("status %d is asked for %d times", async (status, times) => {
  const { mirror, asked } = await serve((_, response) => response.writeHead(status).end());
  const { directory, path } = await target();
  const message = await messageOf(fetchFile("set", file, { directory, mirror, ...quick }));
  expect(message).toContain(`cannot download ${mirror}/set/file.bin: the server answered ${status} `);
  expect(message).toContain(`put the file at ${path} by hand`);
  expect(asked).toHaveLength(times);
});

test("a redirect is followed; a circle of them ends", async () => {
  const { mirror, asked } = await serve((request, response) =>
    request.url === "/moved/file.bin"
      ? send(request, response)
      : response
          .writeHead(302, { location: request.url!.startsWith("/round") ? request.url! : "/moved/file.bin" })
          .end(),
  );
  const { directory, path } = await target();
  await fetchFile("set", file, { directory, mirror });
  await expectContent(path);
  asked.length = 0;
  const round = await target();
  expect(await messageOf(fetchFile("set", file, { directory: round.directory, mirror: `${mirror}/round` }))).toContain(
    "more than five redirects",
  );
  expect(asked).toHaveLength(6);
});

test("nobody listens: the address and the way by hand", async () => {
  const { directory, path } = await target();
  const mirror = "http://127.0.0.1:9";
  const message = await messageOf(fetchFile("set", file, { directory, mirror, ...quick }));
  expect(message).toMatch(/cannot download http:\/\/127\.0\.0\.1:9\/set\/file\.bin: .*ECONNREFUSED/);
  expect(message).toContain(path);
});

test("a server that falls silent counts as dead", async () => {
  const { mirror } = await serve((_, response) => {
    response.writeHead(200, { "content-length": content.length });
    response.write(content.subarray(0, 10));
  });
  const { directory } = await target();
  const options = { directory, mirror, attempts: 1, silenceSeconds: 0.1, ...quick };
  // The first attempt brings ten bytes; the second starts again, for this server ignores ranges, and brings no more.
  expect(await messageOf(fetchFile("set", file, options))).toContain("no answer for 0.1 s");
});

test("a signal stops it at once and keeps what came", async () => {
  const { mirror } = await serve((request, response) => {
    response.writeHead(200, { "content-length": content.length });
    response.write(content.subarray(0, 2000));
    request.socket.setNoDelay();
  });
  const { directory, part } = await target();
  const stop = new AbortController();
  const promise = fetchFile("set", file, { directory, mirror, signal: stop.signal, onProgress: () => stop.abort() });
  expect(await messageOf(promise)).toContain("AbortError");
  expect((await stat(part)).size).toBe(2000);
});

test("a place that cannot be written, and a mirror that is none", async () => {
  const { mirror } = await serve((request, response) => send(request, response));
  const directory = join(await temporaryFolder(), "file");
  await put(directory, "not a folder");
  expect(await messageOf(fetchFile("set", file, { directory, mirror }))).toMatch(
    /^DatasetError: set: cannot write .*file\.bin\.part \(ENOTDIR\); free the place or choose another `--data-dir`$/,
  );
  expect(await messageOf(fetchFile("set", file, { directory: "/tmp", mirror: "ftp://here" }))).toBe(
    "DatasetError: set: expected a mirror with an http or https address, got ftp://here",
  );
});
