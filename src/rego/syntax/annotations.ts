import type { Module } from "./ast.ts";
import type { ParseResult } from "./parse.ts";
import type { Statement } from "./parser.ts";

export function attachAnnotations(module: Module, _statements: readonly Statement[]): ParseResult<Module> {
  return { value: module };
}
