/** Why policies or data could not be loaded. The codes are the metric label `reason` of failed reloads. */
export const LOAD_ERROR_CODES = {
  not_found: "a path that was named does not exist or cannot be read",
  bad_document: "a data file is not JSON or YAML, or not an object where one is needed",
  merge_conflict: "two data files define the same document",
  bad_bundle: "an archive or bundle directory is malformed, too large or outside its roots",
  out_of_memory: "compiling the policies takes more memory than there is",
  no_entrypoint: "nothing is defined where decisions are asked for, though it was before",
  bad_signature: "a bundle's signatures do not verify, or are missing where they are required",
} as const;
export type LoadErrorCode = keyof typeof LOAD_ERROR_CODES;

/** Policies or data could not be read. The message begins with the file's name, as OPA's loader prints it. */
export class LoadError extends Error {
  override readonly name = "LoadError";
  readonly code: LoadErrorCode;

  constructor(code: LoadErrorCode, message: string, options?: ErrorOptions) {
    super(message, options);
    this.code = code;
  }
}

export function messageOf(cause: unknown): string {
  return cause instanceof Error ? cause.message : String(cause);
}
