import { type Diagnostic, isReserved, type Module } from "../syntax/index.ts";
import { checkRuleNames, deprecatedBuiltinVisitor, rootAssignmentVisitor } from "./calls.ts";
import { type Environment, Findings } from "./context.ts";
import { importName } from "./resolve.ts";
import { importText } from "./text.ts";
import { branchesOf, walkRule } from "./walk.ts";

/**
 * What v1 forbids in a module as it stands in its file, and formatting cannot mend.
 * @source OPA v1/ast/rego_v1.go, CheckRegoV1WithOptions
 */
export function checkForV1(module: Module, signatures: Environment["signatures"]): readonly Diagnostic[] {
  const findings = new Findings(0);
  checkImports(module, findings);
  const branches = module.rules.flatMap(branchesOf);
  checkRuleNames(branches, findings);
  for (const branch of branches) walkRule(branch, rootAssignmentVisitor(findings));
  for (const branch of branches) walkRule(branch, deprecatedBuiltinVisitor({ signatures, findings }));
  for (const { head, at } of module.rules) {
    if (head.name !== undefined && head.reference.terms.length < 2 && isReserved(head.name, "v1"))
      findings.add("rego_parse_error", `${head.name} keyword cannot be used for rule name`, at);
  }
  return findings.list;
}

/** Two imports of one name. */
export function checkImports({ imports }: Module, findings: Findings): void {
  const seen = new Map<string, Module["imports"][number]>();
  for (const imported of imports) {
    const name = importName(imported);
    const earlier = seen.get(name);
    if (earlier === undefined) seen.set(name, imported);
    else findings.add("rego_compile_error", `import must not shadow ${importText(earlier)}`, imported.at);
  }
}
