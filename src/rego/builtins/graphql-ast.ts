import type { Value } from "../value/index.ts";
import type { Position } from "./graphql-lexer.ts";

/**
 * The syntax tree of gqlparser v2 (package ast), with Go's member names, because policies read these names. What the
 * zero value of a Go struct would show (`""`, `false`) is there; what is pruned from results (nil, empty) may be absent.
 */
export interface CommentGroup {
  readonly List: readonly { readonly Value: string }[];
}

interface Commented {
  readonly Comment?: CommentGroup | undefined;
}

interface Placed {
  readonly Position?: Position | undefined;
}

interface Described extends Placed {
  readonly Description: string;
  readonly BeforeDescriptionComment?: CommentGroup | undefined;
  readonly AfterDescriptionComment?: CommentGroup | undefined;
}

export interface QueryDocument {
  readonly Operations: readonly OperationDefinition[];
  readonly Fragments: readonly FragmentDefinition[];
}

export type Operation = "query" | "mutation" | "subscription";

export interface OperationDefinition extends Commented, Placed {
  readonly Operation: Operation;
  readonly Name: string;
  readonly VariableDefinitions: readonly VariableDefinition[];
  readonly Directives: readonly Directive[];
  readonly SelectionSet: readonly Selection[];
}

export interface VariableDefinition extends Commented, Placed {
  readonly Variable: string;
  readonly Type: TypeReference;
  readonly DefaultValue?: ValueNode | undefined;
  readonly Directives: readonly Directive[];
  readonly Used: boolean;
}

export type Selection = Field | FragmentSpread | InlineFragment;

export interface Field extends Commented, Placed {
  readonly Alias: string;
  readonly Name: string;
  readonly Arguments: readonly Argument[];
  readonly Directives: readonly Directive[];
  readonly SelectionSet: readonly Selection[];
}

export interface FragmentSpread extends Commented, Placed {
  readonly Name: string;
  readonly Directives: readonly Directive[];
}

export interface InlineFragment extends Commented, Placed {
  readonly TypeCondition: string;
  readonly Directives: readonly Directive[];
  readonly SelectionSet: readonly Selection[];
}

export interface FragmentDefinition extends Commented, Placed {
  readonly Name: string;
  readonly VariableDefinition: readonly VariableDefinition[];
  readonly TypeCondition: string;
  readonly Directives: readonly Directive[];
  readonly SelectionSet: readonly Selection[];
}

export interface Argument extends Commented, Placed {
  readonly Name: string;
  readonly Value: ValueNode;
}

export interface Directive extends Placed {
  readonly Name: string;
  readonly Arguments: readonly Argument[];
  readonly Location: string;
}

/** gqlparser's ValueKind, in its numbering. */
export const VALUE_KINDS = {
  Variable: 0,
  IntValue: 1,
  FloatValue: 2,
  StringValue: 3,
  BlockValue: 4,
  BooleanValue: 5,
  NullValue: 6,
  EnumValue: 7,
  ListValue: 8,
  ObjectValue: 9,
} as const;
export type ValueKind = (typeof VALUE_KINDS)[keyof typeof VALUE_KINDS];

export interface ValueNode extends Commented, Placed {
  readonly Raw: string;
  readonly Children: readonly ChildValue[];
  readonly Kind: ValueKind;
  readonly ExpectedTypeHasDefault: boolean;
}

export interface ChildValue extends Commented, Placed {
  readonly Name: string;
  readonly Value: ValueNode;
}

export interface TypeReference extends Placed {
  /** Empty for lists. */
  readonly NamedType: string;
  readonly Elem?: TypeReference | undefined;
  readonly NonNull: boolean;
}

export interface SchemaDocument extends Commented {
  readonly Schema: readonly SchemaDefinition[];
  readonly SchemaExtension: readonly SchemaDefinition[];
  readonly Directives: readonly DirectiveDefinition[];
  readonly Definitions: readonly Definition[];
  readonly Extensions: readonly Definition[];
}

export interface SchemaDefinition extends Described {
  readonly Directives: readonly Directive[];
  readonly OperationTypes: readonly OperationTypeDefinition[];
  readonly EndOfDefinitionComment?: CommentGroup | undefined;
}

export interface OperationTypeDefinition extends Commented, Placed {
  readonly Operation: Operation;
  readonly Type: string;
}

export type DefinitionKind = "SCALAR" | "OBJECT" | "INTERFACE" | "UNION" | "ENUM" | "INPUT_OBJECT";

export interface Definition extends Described {
  readonly Kind: DefinitionKind;
  readonly Name: string;
  readonly Directives: readonly Directive[];
  readonly Interfaces: readonly string[];
  readonly Fields: readonly FieldDefinition[];
  readonly Types: readonly string[];
  /** Where each of `Types` stands; absent in trees that did not come from text. */
  readonly TypePositions?: readonly Position[];
  readonly EnumValues: readonly EnumValueDefinition[];
  readonly BuiltIn: boolean;
  readonly EndOfDefinitionComment?: CommentGroup | undefined;
}

export interface FieldDefinition extends Described {
  readonly Name: string;
  readonly Arguments: readonly ArgumentDefinition[];
  readonly DefaultValue?: ValueNode | undefined;
  readonly Type: TypeReference;
  readonly Directives: readonly Directive[];
}

export interface ArgumentDefinition extends Described {
  readonly Name: string;
  readonly DefaultValue?: ValueNode | undefined;
  readonly Type: TypeReference;
  readonly Directives: readonly Directive[];
}

export interface EnumValueDefinition extends Described {
  readonly Name: string;
  readonly Directives: readonly Directive[];
}

export interface DirectiveDefinition extends Described {
  readonly Name: string;
  readonly Arguments: readonly ArgumentDefinition[];
  readonly Locations: readonly string[];
  readonly IsRepeatable: boolean;
}

/**
 * A tree as policies see it: without positions, absent members and empty lists and objects.
 * @source OPA v1/topdown/graphql.go, pruneIrrelevantGraphQLASTNodes
 */
export function toValue(node: QueryDocument | SchemaDocument): Value {
  return prune(node) ?? {};
}

function prune(node: unknown): Value | undefined {
  if (node === undefined || node === null) return undefined;
  if (typeof node !== "object") return node as Value;
  if (Array.isArray(node)) {
    const items = node.map(prune).filter((item): item is Value => item !== undefined);
    return items.length > 0 ? items : undefined;
  }
  const members: Record<string, Value> = {};
  for (const [name, member] of Object.entries(node)) {
    if (name === "Position" || name === "TypePositions") continue;
    const pruned = prune(member);
    if (pruned !== undefined) members[name] = pruned;
  }
  return Object.keys(members).length > 0 ? members : undefined;
}

/** A type as GraphQL writes it: `[Int!]!`. */
export function typeText(type: TypeReference): string {
  const inner = type.Elem === undefined ? type.NamedType : `[${typeText(type.Elem)}]`;
  return type.NonNull ? `${inner}!` : inner;
}

/** The named type inside all lists. */
export function namedType(type: TypeReference): string {
  return type.Elem === undefined ? type.NamedType : namedType(type.Elem);
}
