// One set-up at a time in a checkout, safe against owners that die at any moment.
//
// The lock is a row of numbered turns, `.setup/turn-1`, `.setup/turn-2`, ...; the highest one counts. A turn is a
// symbolic link whose target is the owner's process id and start time: creating one either succeeds with its content
// in place or fails because it exists, and nothing in between can be seen. A free lock is a highest turn that says
// `released` or whose owner is dead, and it is taken by creating the next number. The highest turn is never deleted,
// only lower ones are, by the holder; so two that find the same dead owner compete for one name and one of them wins.
//
// An owner that was killed outright may leave programs running (npm, a compiler). They carry the owner's mark in their
// environment, and the next holder ends them before it touches the files they were writing.

import { mkdirSync, readdirSync, readFileSync, readlinkSync, renameSync, symlinkSync, unlinkSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { OWNER_VARIABLE } from "./command.mjs";
import { say } from "./say.mjs";

const RELEASED = "released";
const POLL_MILLISECONDS = 100;
const REMIND_MILLISECONDS = 30_000;

/**
 * Waits until no other set-up works in this checkout, then takes the lock.
 *
 * @param {string} directory - where the turns are kept; created when missing
 * @returns {Promise<() => void>} gives the lock back; without it the lock is free again once this process has ended
 */
export async function acquireLock(directory) {
  mkdirSync(directory, { recursive: true });
  const owner = `${process.pid}:${processStart(process.pid)}`;
  let told = Number.NEGATIVE_INFINITY;
  for (;;) {
    const newest = Math.max(0, ...turns(directory));
    const holder = newest === 0 ? RELEASED : readTurn(directory, newest);
    if (holder !== RELEASED && isAlive(holder)) {
      if (performance.now() - told > REMIND_MILLISECONDS) {
        say(`waiting for another set-up, process ${holder.split(":")[0]} ...`);
        told = performance.now();
      }
      await sleep(POLL_MILLISECONDS);
    } else if (takeTurn(directory, newest + 1, owner)) {
      await clearEarlierTurns(directory, newest + 1);
      process.env[OWNER_VARIABLE] = owner;
      return () => release(directory, newest + 1, owner);
    }
  }
}

/** Creates turn `number`; false when somebody else has it, or a higher one, already. */
function takeTurn(directory, number, owner) {
  try {
    symlinkSync(owner, turnPath(directory, number));
  } catch (error) {
    if (error.code === "EEXIST") return false;
    throw error;
  }
  if (Math.max(...turns(directory)) === number) return true;
  // The number had been used and cleared while this process looked away: others are further on.
  unlinkSync(turnPath(directory, number));
  return false;
}

/** Ends what dead owners left running, then forgets them. Every earlier turn is dead or released. */
async function clearEarlierTurns(directory, mine) {
  for (const number of turns(directory).filter((turn) => turn < mine)) {
    const earlier = readTurn(directory, number);
    if (earlier !== RELEASED) await endOrphans(earlier);
    try {
      unlinkSync(turnPath(directory, number));
    } catch (error) {
      if (error.code !== "ENOENT") throw error;
    }
  }
}

/** Replaces the turn's owner by `released`, in one step. */
function release(directory, number, owner) {
  const temporary = join(directory, `release-${owner}`);
  symlinkSync(RELEASED, temporary);
  renameSync(temporary, turnPath(directory, number));
}

/** Kills the programs that a dead set-up had started, and waits until they are gone. */
async function endOrphans(owner) {
  const mark = `${OWNER_VARIABLE}=${owner}\0`;
  for (let clear = 0; clear < 2; ) {
    const orphans = readdirSync("/proc").filter((name) => /^\d+$/.test(name) && environmentOf(name).includes(mark));
    for (const pid of orphans) {
      try {
        process.kill(Number(pid), "SIGKILL");
      } catch (error) {
        if (error.code !== "ESRCH") throw error;
      }
    }
    // Looked at twice: a program that was just being started shows its environment only the second time.
    clear = orphans.length === 0 ? clear + 1 : 0;
    await sleep(20);
  }
}

/** A process's environment, NUL after each entry; empty when it has ended or belongs to somebody else. */
function environmentOf(pid) {
  try {
    return readFileSync(`/proc/${pid}/environ`, "latin1");
  } catch {
    return "";
  }
}

function turns(directory) {
  return readdirSync(directory).flatMap((name) => (/^turn-\d+$/.test(name) ? [Number(name.slice(5))] : []));
}

function turnPath(directory, number) {
  return join(directory, `turn-${number}`);
}

/** The owner a turn names; a turn that has just been cleared counts as released. */
function readTurn(directory, number) {
  try {
    return readlinkSync(turnPath(directory, number));
  } catch (error) {
    if (error.code === "ENOENT") return RELEASED;
    throw error;
  }
}

function isAlive(owner) {
  const [pid, start] = owner.split(":");
  return processStart(pid) === start;
}

/** When a process started, in clock ticks since boot; undefined when it has ended (a zombie has). */
function processStart(pid) {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, "latin1");
    // The program's name, in brackets, may hold anything; after it come the state (field 3) and so on to the start (22).
    const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
    return fields[0] === "Z" || fields[0] === "X" ? undefined : fields[19];
  } catch {
    return undefined;
  }
}
