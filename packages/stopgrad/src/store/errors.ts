// What can go wrong with the store, by kind, so that a command can tell "no runs yet" from "somebody else trains it".

export type StoreErrorCode =
  /** There is no store in this folder yet (only when opened read-only). */
  | "missing"
  /** The file is no store: not SQLite, another program's database, or damaged. */
  | "not-a-store"
  /** Written by a later version of stopgrad. */
  | "newer"
  /** Another process held the write lock for longer than the timeout. */
  | "locked"
  /** The folder or file may not be written, or the store was opened read-only. */
  | "readonly"
  /** No run of that name, or more than one. */
  | "unknown-run"
  /** The run is being trained by another process. */
  | "claimed"
  /** Anything else that SQLite reports: a full disk, an input error. */
  | "failed";

/** The store cannot do what was asked; the message is one sentence with the file, the cause and what would help. */
export class StoreError extends Error {
  override readonly name = "StoreError";

  constructor(
    readonly code: StoreErrorCode,
    message: string,
    options?: ErrorOptions,
  ) {
    super(message, options);
  }
}
