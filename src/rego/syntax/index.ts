export type * from "./ast.ts";
export { compareTerms } from "./compare.ts";
export {
  arrayTerm,
  booleanTerm,
  callExpr,
  callTerm,
  expr,
  type ExprOptions,
  formOf,
  isScalar,
  isWildcard,
  NOWHERE,
  nullTerm,
  numberTerm,
  objectTerm,
  operatorName,
  operatorRef,
  refOf,
  refTerm,
  setTerm,
  stringTerm,
  varTerm,
} from "./construct.ts";
export { type FormatOptions, formatModule } from "./format.ts";
export { type JsonOptions, moduleToJson, termToJson } from "./json.ts";
export { type ModuleOptions, parseModule, parseModuleInSteps, type SourceText } from "./module.ts";
export {
  type LanguageOptions,
  type ParseResult,
  parseQuery,
  parseRef,
  parseTerm,
  type QueryOptions,
} from "./parse.ts";
export { MAX_SOURCE_LENGTH } from "./parser.ts";
export { bodyToText, exprToText, importToText, ruleRefToText, termToText } from "./text.ts";
export { MAX_DEPTH } from "./token-stream.ts";
export { isReserved } from "./tokens.ts";
export {
  isGroundTerm,
  type Mapper,
  mapBody,
  mapExpr,
  mapList,
  mapTerm,
  mapTermChildren,
  relocateExpr,
  relocateTerm,
  type Visitable,
  visit,
  type Visitor,
  walkModule,
  walkRule,
  walkTerms,
} from "./traverse.ts";
