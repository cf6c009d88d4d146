export { createTypeChecker, type TypeCheckOptions } from "./check-types.ts";
export {
  type CompiledModules,
  type CompileModulesOptions,
  compileModules,
  compileModulesInSteps,
} from "./compile-modules.ts";
export { type CompileQueryOptions, compileQuery } from "./compile-query.ts";
export { ALL_FEATURES, type Feature } from "./context.ts";
export type {
  CompiledQuery,
  CompiledRule,
  Dependencies,
  Names,
  Program,
  QueryExpression,
  RuleBranch,
  RuleKind,
  RuleTreeNode,
  TypeChecker,
  WithTargets,
} from "./program.ts";
export { refText, termText } from "./text.ts";
export { childOf } from "./tree.ts";
export { checkForV1 } from "./v1-checks.ts";
