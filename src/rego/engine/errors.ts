import { placeOf } from "../../base/index.ts";
import type { Diagnostic } from "../syntax/index.ts";

/** Modules or a query did not compile. */
export class CompileError extends Error {
  override readonly name = "CompileError";
  readonly diagnostics: readonly Diagnostic[];

  constructor(diagnostics: readonly Diagnostic[]) {
    super(diagnosticsText(diagnostics));
    this.diagnostics = diagnostics;
  }
}

/** OPA's text of one finding: `file:row: code: message`, details indented. */
export function formatDiagnostic(diagnostic: Diagnostic): string {
  const place = diagnostic.at === undefined ? "" : `${placeOf(diagnostic.at)}: `;
  const details = (diagnostic.details ?? []).map((line) => `\n\t${line}`).join("");
  return `${place}${diagnostic.code}: ${diagnostic.message}${details}`;
}

/** OPA's text of a list of findings. */
export function diagnosticsText(diagnostics: readonly Diagnostic[]): string {
  const count = diagnostics.length;
  if (count === 0) return "no error(s)";
  const lines = diagnostics.map(formatDiagnostic);
  return count === 1 ? `1 error occurred: ${lines[0]}` : `${count} errors occurred:\n${lines.join("\n")}`;
}

/** A finding for people: place with column, the source line, a caret, and advice where there is some. */
export function explainDiagnostic(diagnostic: Diagnostic): string {
  const { at } = diagnostic;
  const lines: string[] = [];
  if (at === undefined) lines.push(`${diagnostic.code}: ${diagnostic.message}`);
  else {
    lines.push(
      `${at.source.name === "" ? "" : `${at.source.name}:`}${at.row}:${at.col}: ${diagnostic.code}: ${diagnostic.message}`,
    );
    const line = at.source.line(at.row);
    const indent = [...line].slice(0, at.col - 1).map((char) => (char === "\t" ? "\t" : " "));
    lines.push(`    ${line}`, `    ${indent.join("")}^`);
  }
  if (diagnostic.code !== "rego_parse_error")
    for (const detail of diagnostic.details ?? []) lines.push(`    ${detail}`);
  if (diagnostic.hint !== undefined) lines.push(`    hint: ${diagnostic.hint}`);
  return lines.join("\n");
}
