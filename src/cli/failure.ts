import type { Location } from "../base/index.ts";
import { CompileError, type Diagnostic, EvalError, formatDiagnostic } from "../rego/engine/index.ts";
import type { Document } from "./output.ts";

/** One error as OPA's JSON output shows it, and its text for people. */
export interface OutputError {
  readonly document: Document;
  readonly text: string;
}

/** The errors behind something thrown. Faults of this program are thrown on. */
export function outputErrors(thrown: unknown): readonly OutputError[] {
  if (thrown instanceof CompileError) return thrown.diagnostics.map(fromDiagnostic);
  if (thrown instanceof EvalError) return [fromEvalError(thrown)];
  if (thrown instanceof TypeError || thrown instanceof RangeError || !(thrown instanceof Error)) throw thrown;
  return [{ document: { message: thrown.message }, text: thrown.message }];
}

export function fromEvalError(error: EvalError): OutputError {
  const { code, message, location } = error;
  const document = { message, code, ...(location !== undefined && { location: locationDocument(location) }) };
  // Without a file OPA shows the expression itself.
  const place =
    location === undefined
      ? ""
      : location.source.name === ""
        ? location.source.text.slice(location.offset, location.end)
        : `${location.source.name}:${location.row}`;
  return { document, text: `${place === "" ? "" : `${place}: `}${code}: ${message}` };
}

function fromDiagnostic(diagnostic: Diagnostic): OutputError {
  const { message, code, at } = diagnostic;
  const details = detailsOf(diagnostic);
  return {
    document: {
      message,
      code,
      ...(at !== undefined && { location: locationDocument(at) }),
      ...(details !== undefined && { details }),
    },
    text: formatDiagnostic(diagnostic),
  };
}

function detailsOf({ details, structure }: Diagnostic): Document {
  if (structure !== undefined) return structure as Document;
  return details === undefined || details.length === 0 ? undefined : details.join("\n");
}

export function locationDocument(at: Location): Document {
  return { file: at.source.name, row: at.row, col: at.col };
}

/** OPA's text of a list of errors. */
export function errorsText(errors: readonly OutputError[]): string {
  if (errors.length === 0) return "no error(s)";
  const prefix = errors.length === 1 ? "1 error occurred: " : `${errors.length} errors occurred:\n`;
  return prefix + errors.map(({ text }) => text).join("\n");
}

/** The text of all that is wrong. OPA's loader reports files that it cannot parse in words of its own. */
export function failureText(thrown: unknown): string {
  const text = errorsText(outputErrors(thrown));
  const isOfLoader =
    thrown instanceof CompileError &&
    thrown.diagnostics.every(({ code, at }) => code === "rego_parse_error" && at?.source.name !== "");
  return isOfLoader ? text.replace(/^(\d+ errors? occurred)/, "$1 during loading") : text;
}
