// Words of a command line as a shell needs them.

/** For a POSIX shell: `it's` → `'it'\''s'`; words that need no quotes get none. */
export function shellQuote(word: string): string {
  return /^[\w./:=,@%+-]+$/.test(word) ? word : `'${word.replaceAll("'", "'\\''")}'`;
}
