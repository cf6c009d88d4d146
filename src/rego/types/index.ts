export type { FunctionType, NamedType, Signature, Type } from "./type.ts";
