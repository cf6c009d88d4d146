import {
  formatIstioDiagnostic,
  type IstioLint,
  ISTIO_LINTS,
  lintPolicies,
  type PolicyText,
  readPolicies,
} from "../istio/index.ts";
import { placeOf } from "../base/index.ts";
import type { Document } from "./output.ts";

/** What `check` found in Istio's and Cardea's policy files. */
export interface IstioCheck {
  readonly hasErrors: boolean;
  readonly hasWarnings: boolean;
  /** For humans, errors first. */
  readonly text: string;
  /** For `--format=json`. */
  readonly errors: readonly Document[];
  readonly warnings: readonly Document[];
}

/** Validates policy files as Istio does, and looks for what Istio accepts and hardly anybody means. */
export function checkIstio(files: readonly PolicyText[]): IstioCheck {
  const { documents, diagnostics } = readPolicies(files);
  const lints = lintPolicies(documents);
  const warnings = lints.filter(({ severity }) => severity === "warning");
  const notes = new Map<string, IstioLint[]>();
  for (const lint of lints) {
    if (lint.severity === "warning") continue;
    const known = notes.get(lint.code);
    if (known === undefined) notes.set(lint.code, [lint]);
    else known.push(lint);
  }
  const lines = [
    ...diagnostics.map(formatIstioDiagnostic),
    ...warnings.map(warningText),
    ...[...notes.values()].map(noteText),
  ];
  return {
    hasErrors: diagnostics.length > 0,
    hasWarnings: warnings.length > 0,
    text: lines.map((line) => `${line}\n`).join(""),
    errors: diagnostics.map(({ code, message, field, at, hint }) => ({
      code,
      message: field === "" ? message : `${field}: ${message}`,
      location: { file: at.source.name, row: at.row, col: at.col },
      ...(hint !== undefined && { hint }),
    })),
    warnings: lints.map(({ code, severity, policy, message, mend, at }) => ({
      code,
      severity,
      policy,
      message,
      explanation: ISTIO_LINTS[code],
      mend,
      location: { file: at.source.name, row: at.row, col: at.col },
    })),
  };
}

function warningText({ code, policy, message, mend, at }: IstioLint): string {
  return `${placeOf(at)}: warning: ${code}: ${message} (${policy})\n    ${ISTIO_LINTS[code]}\n    write: ${mend}`;
}

/** Notes say the same of many policies: once is enough. */
function noteText(lints: readonly IstioLint[]): string {
  const [{ code, mend, at, policy }] = lints as [IstioLint];
  const others = lints.length > 1 ? ` and ${lints.length - 1} more` : "";
  return `${placeOf(at)}: note: ${code}: ${policy}${others}\n    ${ISTIO_LINTS[code]}\n    ${mend}`;
}
