export { describeType, readFunctionType, readType, TypeFormatError, writeType } from "./json.ts";
export {
  ANY,
  anyOf,
  arrayType,
  BOOLEAN,
  functionType,
  isAny,
  NULL,
  NUMBER,
  objectType,
  STRING,
  setType,
} from "./make.ts";
export { compareTypes, unwrap } from "./order.ts";
export { SchemaError, schemaType } from "./schema.ts";
export { argsText, callText, typeText } from "./text.ts";
export type {
  AnyType,
  ArrayType,
  DynamicProperty,
  FunctionType,
  NamedType,
  ObjectType,
  RecursiveType,
  ScalarType,
  SetType,
  Signature,
  StaticProperty,
  Type,
} from "./type.ts";
export { unifies } from "./unify.ts";
export {
  contains,
  elementOf,
  insertMember,
  isUnknown,
  keysOf,
  knownKeys,
  mergeTypes,
  overrideMember,
  propertyOf,
  selectMember,
  typeOfValue,
  union,
  valuesOf,
} from "./union.ts";
