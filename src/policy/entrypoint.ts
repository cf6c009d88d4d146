import { CompileError, type MissingDocument } from "../rego/engine/index.ts";
import { LoadError } from "./errors.ts";
import type { Entrypoint, Snapshot } from "./snapshot.ts";

/**
 * What keeps a snapshot from answering at an entrypoint, for people: nothing is defined there. Undefined where something
 * is, whatever it makes of a request, and where policy documents decide alone.
 */
export function entrypointGap(snapshot: Snapshot, entrypoint: Entrypoint): string | undefined {
  if (snapshot.declared?.decides === true && !snapshot.hasDecidingModules) return undefined;
  const [missing] = missingOf(snapshot, entrypoint);
  if (missing === undefined) return undefined;
  // Rules of our own are none that somebody could have meant.
  const meant = missing.elsewhere.filter((name) => !name.startsWith("data.cardea."));
  const hint = meant.length === 0 ? "" : `; there is ${meant.join(", ")}`;
  return `nothing is defined at ${missing.name}, where decisions are asked for${hint}`;
}

/** Whether rules or data stand at an entrypoint; true, too, where its query is illegal, which asking it will tell. */
export function isDefined(snapshot: Snapshot, entrypoint: Entrypoint): boolean {
  return missingOf(snapshot, entrypoint).length === 0;
}

function missingOf(snapshot: Snapshot, entrypoint: Entrypoint): readonly MissingDocument[] {
  try {
    return snapshot.missing(entrypoint);
  } catch (cause) {
    // A query that is not legal is every request's fault, and no finding about what is defined.
    if (cause instanceof CompileError) return [];
    throw cause;
  }
}

/**
 * Refuses policies in which a renamed package or rule has left nothing at the entrypoint, while the live ones have
 * something there: every request would be denied. Where nothing is lost, nothing is refused.
 *
 * @throws {LoadError} no_entrypoint
 */
export function keepEntrypoint(entrypoint: Entrypoint): (candidate: Snapshot, live: Snapshot) => void {
  return (candidate, live) => {
    const gap = entrypointGap(candidate, entrypoint);
    if (gap !== undefined && live.generation > 0 && entrypointGap(live, entrypoint) === undefined)
      throw new LoadError("no_entrypoint", gap);
  };
}
