// What two versions of a volume's landmarks make of the one that both began with.

import { sameMark } from "./landmarks.js";

/** Names of landmarks that differ; one that a version lacks counts as not placed. */
export function differing(one, other) {
  const open = { position: null, missing: false };
  const second = new Map(other.map((mark) => [mark.name, mark]));
  const names = new Set([...one, ...other].map((mark) => mark.name));
  const first = new Map(one.map((mark) => [mark.name, mark]));
  const differs = (name) => !sameMark(first.get(name) ?? open, second.get(name) ?? open);
  return new Set([...names].filter(differs));
}

/**
 * Compare two versions with what they began with.
 * @returns {mine, theirs: names that each changed, both: names that both changed in another way}
 */
export function compare(base, mine, theirs) {
  const changed = { mine: differing(base, mine), theirs: differing(base, theirs) };
  const apart = differing(mine, theirs);
  const both = [...changed.mine].filter((name) => changed.theirs.has(name) && apart.has(name));
  return { ...changed, both: new Set(both) };
}

/** My changes on top of theirs; a landmark that both changed is mine. */
export function merged(base, mine, theirs) {
  const own = differing(base, mine);
  const marks = new Map(mine.map((one) => [one.name, one]));
  return theirs.map((one) => {
    const kept = own.has(one.name) ? marks.get(one.name) : undefined;
    return kept ? { ...one, position: kept.position, missing: kept.missing } : one;
  });
}
