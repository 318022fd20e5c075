// What the operating system refuses, in words: `cannot write /runs/a: the disk is full`.

const WORDS: Readonly<Record<string, string>> = {
  ENOSPC: "the disk is full",
  EDQUOT: "the disk quota is used up",
  EROFS: "the file system is read-only",
  EACCES: "permission denied",
  EPERM: "not permitted",
  ENOENT: "no such file or folder",
  EISDIR: "is a folder",
  ENOTDIR: "a part of the path is not a folder",
  EEXIST: "a file of that name is in the way",
  EMFILE: "too many open files",
  EAGAIN: "the system has no room for another process now",
  ENOMEM: "memory is full",
};

/** One sentence for an error of a system call (a full disk, a missing permission); null for any other error. */
export function describeSystemError(error: unknown): string | null {
  const { code, syscall, path, message } = (error ?? {}) as NodeJS.ErrnoException;
  if (!(error instanceof Error) || code === undefined || syscall === undefined) return null;
  return `cannot ${syscall}${path ? ` ${path}` : ""}: ${WORDS[code] ?? message}`;
}
