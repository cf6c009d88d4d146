import type { RefTerm, Rule } from "../syntax/index.ts";
import type { Signature } from "../types/index.ts";
import { branchesOf, isComprehension, isGenerated, operatorName, type Visitor, walkRule, walkTerm } from "./walk.ts";

/** What a rule holds, so that stages can leave out rules that do not concern them. */
export interface Parts {
  readonly templates: boolean;
  readonly prints: boolean;
  readonly voidCalls: boolean;
  readonly metadata: boolean;
  readonly comprehensions: boolean;
  readonly withs: boolean;
  readonly comparisons: boolean;
}

/** One walk over a rule as it was written. @param taken collects names that look generated: policies may hold compiled code */
export function surveyRule(rule: Rule, signatures: ReadonlyMap<string, Signature>, taken: Set<string>): Parts {
  const parts = {
    templates: false,
    prints: false,
    voidCalls: false,
    metadata: false,
    comprehensions: false,
    withs: false,
    comparisons: false,
  };
  const call = (operator: RefTerm): void => {
    const name = operatorName(operator);
    if (name === "print") parts.prints = true;
    else if (name === "equal") parts.comparisons = true;
    else if (name === "rego.metadata.chain" || name === "rego.metadata.rule") parts.metadata = true;
    const signature = signatures.get(name);
    if (signature !== undefined && signature.type.result === undefined) parts.voidCalls = true;
  };
  const visitor: Visitor = {
    expr: ({ form, with: modifiers }) => {
      if (form.kind === "call") call(form.operator);
      if (modifiers.length > 0) parts.withs = true;
      return false;
    },
    term: (term) => {
      if (term.kind === "var") {
        if (isGenerated(term.name)) taken.add(term.name);
      } else if (term.kind === "call") call(term.operator);
      else if (term.kind === "templatestring") parts.templates = true;
      else if (isComprehension(term)) parts.comprehensions = true;
      return false;
    },
  };
  for (const branch of branchesOf(rule)) {
    walkTerm(branch.head.reference, visitor);
    walkRule(branch, visitor);
  }
  // Parts of template strings and operands of print become comprehensions.
  if (parts.templates || parts.prints) parts.comprehensions = true;
  return parts;
}
