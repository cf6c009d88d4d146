import {
  getKey,
  isArray,
  isNumber,
  isObject,
  numberText,
  type ObjectValue,
  typeName,
  type Value,
} from "../value/index.ts";
import type {
  Argument,
  ArgumentDefinition,
  Definition,
  DefinitionKind,
  Directive,
  DirectiveDefinition,
  EnumValueDefinition,
  FieldDefinition,
  FragmentDefinition,
  Operation,
  OperationDefinition,
  QueryDocument,
  SchemaDefinition,
  SchemaDocument,
  Selection,
  TypeReference,
  ValueKind,
  ValueNode,
  VariableDefinition,
} from "./graphql-ast.ts";
import { GraphqlError } from "./graphql-lexer.ts";

const MAX_DEPTH = 500;

/**
 * Reads a query's syntax tree back from the object `graphql.parse_query` makes of it. Members that were pruned take their
 * zero values.
 * @throws {GraphqlError} for members of the wrong type
 */
export function decodeQuery(object: ObjectValue): QueryDocument {
  return {
    Operations: list(object, "Operations", decodeOperation),
    Fragments: list(object, "Fragments", decodeFragment),
  };
}

/** Reads a schema's syntax tree back from the object `graphql.parse_schema` makes of it; see `decodeQuery`. */
export function decodeSchema(object: ObjectValue): SchemaDocument {
  return {
    Schema: list(object, "Schema", decodeSchemaDefinition),
    SchemaExtension: list(object, "SchemaExtension", decodeSchemaDefinition),
    Directives: list(object, "Directives", decodeDirectiveDefinition),
    Definitions: list(object, "Definitions", decodeDefinition),
    Extensions: list(object, "Extensions", decodeDefinition),
  };
}

type Decoder<T> = (object: ObjectValue, depth: number) => T;

function decodeOperation(object: ObjectValue): OperationDefinition {
  return {
    Operation: operationOf(text(object, "Operation")),
    Name: text(object, "Name"),
    VariableDefinitions: list(object, "VariableDefinitions", decodeVariable),
    Directives: list(object, "Directives", decodeDirective),
    SelectionSet: list(object, "SelectionSet", decodeSelection),
  };
}

/** A nameless operation counts as a query; unknown words are refused when the query is validated. */
function operationOf(word: string): Operation {
  return (word === "" ? "query" : word) as Operation;
}

function decodeFragment(object: ObjectValue): FragmentDefinition {
  return {
    Name: text(object, "Name"),
    VariableDefinition: list(object, "VariableDefinition", decodeVariable),
    TypeCondition: text(object, "TypeCondition"),
    Directives: list(object, "Directives", decodeDirective),
    SelectionSet: list(object, "SelectionSet", decodeSelection),
  };
}

function decodeVariable(object: ObjectValue): VariableDefinition {
  return {
    Variable: text(object, "Variable"),
    Type: decodeType(member(object, "Type"), 0),
    DefaultValue: optional(object, "DefaultValue", decodeValue, 0),
    Directives: list(object, "Directives", decodeDirective),
    Used: false,
  };
}

function decodeSelection(object: ObjectValue, depth: number): Selection {
  const Directives = list(object, "Directives", decodeDirective);
  if (getKey(object, "TypeCondition") !== undefined) {
    return {
      TypeCondition: text(object, "TypeCondition"),
      Directives,
      SelectionSet: list(object, "SelectionSet", decodeSelection, depth),
    };
  }
  if (getKey(object, "Alias") === undefined) return { Name: text(object, "Name"), Directives };
  return {
    Alias: text(object, "Alias"),
    Name: text(object, "Name"),
    Arguments: list(object, "Arguments", decodeArgument),
    Directives,
    SelectionSet: list(object, "SelectionSet", decodeSelection, depth),
  };
}

function decodeDirective(object: ObjectValue): Directive {
  return { Name: text(object, "Name"), Arguments: list(object, "Arguments", decodeArgument), Location: "" };
}

function decodeArgument(object: ObjectValue): Argument {
  return { Name: text(object, "Name"), Value: decodeValue(member(object, "Value"), 0) };
}

function decodeValue(object: ObjectValue, depth: number): ValueNode {
  return {
    Raw: text(object, "Raw"),
    Kind: integer(object, "Kind") as ValueKind,
    Children: list(
      object,
      "Children",
      (child, inner) => ({ Name: text(child, "Name"), Value: decodeValue(member(child, "Value"), inner) }),
      depth,
    ),
    ExpectedTypeHasDefault: false,
  };
}

function decodeType(object: ObjectValue, depth: number): TypeReference {
  return {
    NamedType: text(object, "NamedType"),
    Elem: optional(object, "Elem", decodeType, depth),
    NonNull: flag(object, "NonNull"),
  };
}

function decodeSchemaDefinition(object: ObjectValue): SchemaDefinition {
  return {
    Description: text(object, "Description"),
    Directives: list(object, "Directives", decodeDirective),
    OperationTypes: list(object, "OperationTypes", (type) => ({
      Operation: text(type, "Operation") as Operation,
      Type: text(type, "Type"),
    })),
  };
}

function decodeDefinition(object: ObjectValue): Definition {
  return {
    Kind: text(object, "Kind") as DefinitionKind,
    Name: text(object, "Name"),
    Description: text(object, "Description"),
    Directives: list(object, "Directives", decodeDirective),
    Interfaces: texts(object, "Interfaces"),
    Fields: list(object, "Fields", decodeField),
    Types: texts(object, "Types"),
    EnumValues: list(object, "EnumValues", decodeEnumValue),
    BuiltIn: flag(object, "BuiltIn"),
  };
}

function decodeField(object: ObjectValue): FieldDefinition {
  return { ...decodeArgumentDefinition(object), Arguments: list(object, "Arguments", decodeArgumentDefinition) };
}

function decodeArgumentDefinition(object: ObjectValue): ArgumentDefinition {
  return {
    Name: text(object, "Name"),
    Description: text(object, "Description"),
    Type: decodeType(member(object, "Type"), 0),
    DefaultValue: optional(object, "DefaultValue", decodeValue, 0),
    Directives: list(object, "Directives", decodeDirective),
  };
}

function decodeEnumValue(object: ObjectValue): EnumValueDefinition {
  return {
    Name: text(object, "Name"),
    Description: text(object, "Description"),
    Directives: list(object, "Directives", decodeDirective),
  };
}

function decodeDirectiveDefinition(object: ObjectValue): DirectiveDefinition {
  return {
    Name: text(object, "Name"),
    Description: text(object, "Description"),
    Arguments: list(object, "Arguments", decodeArgumentDefinition),
    Locations: texts(object, "Locations"),
    IsRepeatable: flag(object, "IsRepeatable"),
  };
}

function text(object: ObjectValue, name: string): string {
  const value = getKey(object, name) ?? "";
  return typeof value === "string" ? value : wrongType(name, value);
}

function flag(object: ObjectValue, name: string): boolean {
  const value = getKey(object, name) ?? false;
  return typeof value === "boolean" ? value : wrongType(name, value);
}

function integer(object: ObjectValue, name: string): number {
  const value = getKey(object, name) ?? 0;
  return isNumber(value) ? Number(numberText(value)) : wrongType(name, value);
}

function texts(object: ObjectValue, name: string): readonly string[] {
  return items(object, name).map((item) => (typeof item === "string" ? item : wrongType(name, item)));
}

function list<T>(object: ObjectValue, name: string, decode: Decoder<T>, depth = 0): readonly T[] {
  if (depth > MAX_DEPTH) throw new GraphqlError(`nested more than ${MAX_DEPTH} levels deep`, undefined);
  return items(object, name).map((item) => (isObject(item) ? decode(item, depth + 1) : wrongType(name, item)));
}

function items(object: ObjectValue, name: string): readonly Value[] {
  const value = getKey(object, name) ?? [];
  return isArray(value) ? value : wrongType(name, value);
}

function member(object: ObjectValue, name: string): ObjectValue {
  const value = getKey(object, name) ?? {};
  return isObject(value) ? value : wrongType(name, value);
}

function optional<T>(object: ObjectValue, name: string, decode: Decoder<T>, depth: number): T | undefined {
  if (depth > MAX_DEPTH) throw new GraphqlError(`nested more than ${MAX_DEPTH} levels deep`, undefined);
  return getKey(object, name) === undefined ? undefined : decode(member(object, name), depth + 1);
}

function wrongType(name: string, value: Value): never {
  throw new GraphqlError(`json: cannot unmarshal ${typeName(value)} into Go struct field ${name}`, undefined);
}
