export type Environment = Readonly<Record<string, string | undefined>>;

/** The first text that is not empty; empty when none is. */
export function firstGiven(...texts: readonly (string | undefined)[]): string {
  return texts.find((text) => text !== undefined && text !== "") ?? "";
}
