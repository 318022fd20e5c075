// The store's tables, one numbered step a version of the database. A step that has shipped is never changed: a later
// version appends one. `PRAGMA user_version` holds how many have been applied. A step runs while other processes may
// have the store open, so it adds and never takes away what an earlier stopgrad reads.

/** "sgrd" in ASCII, in the file's header: tells a store from any other SQLite database. */
export const APPLICATION_ID = 0x73677264;

export const MIGRATIONS: readonly string[] = [
  `
  CREATE TABLE runs (
    id            TEXT PRIMARY KEY,
    name          TEXT NOT NULL,
    variant       TEXT NOT NULL,
    seed          INTEGER NOT NULL,
    status        TEXT NOT NULL CHECK (status IN ('running', 'completed', 'interrupted', 'failed')),
    settings      TEXT NOT NULL,            -- JSON
    settings_hash TEXT NOT NULL,
    command       TEXT NOT NULL,
    environment   TEXT,                     -- JSON
    created_at    TEXT NOT NULL,            -- ISO 8601, UTC
    finished_at   TEXT,
    error         TEXT,
    summary       TEXT,                     -- JSON
    owner_host    TEXT,                     -- all four or none
    owner_pid     INTEGER,
    owner_start   TEXT,                     -- tells a process from a later one with the same number; '' when unknown
    owner_since   TEXT
  ) STRICT;
  CREATE INDEX runs_by_hash ON runs (settings_hash);

  CREATE TABLE metrics (
    run_id         TEXT NOT NULL REFERENCES runs (id) ON DELETE CASCADE,
    key            TEXT NOT NULL,
    stage          TEXT NOT NULL,           -- '' for a number of the whole run
    step           INTEGER NOT NULL,
    epoch          REAL NOT NULL,
    value          REAL,                    -- NULL is NaN, which SQLite cannot hold
    standard_error ANY,                     -- NULL where there is none, the text 'NaN' for NaN
    PRIMARY KEY (run_id, key, stage, step)
  ) STRICT, WITHOUT ROWID;
  `,
  `
  CREATE TABLE experiments (                -- texts of experiment files, once for all runs made from one
    hash TEXT PRIMARY KEY,                  -- SHA-256 of the file's bytes
    text TEXT NOT NULL
  ) STRICT, WITHOUT ROWID;
  ALTER TABLE runs ADD COLUMN folder TEXT;              -- where the command was given; NULL in runs of version 1
  ALTER TABLE runs ADD COLUMN given TEXT;               -- the command line as it was given
  ALTER TABLE runs ADD COLUMN experiment_file TEXT;     -- as it was named there
  ALTER TABLE runs ADD COLUMN experiment_hash TEXT;     -- in experiments
  `,
];
