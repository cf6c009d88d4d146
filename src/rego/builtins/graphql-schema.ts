import { quoteGo } from "../value/index.ts";
import {
  type ArgumentDefinition,
  type Definition,
  type DefinitionKind,
  type Directive,
  type DirectiveDefinition,
  namedType,
  type Operation,
  type SchemaDefinition,
  type SchemaDocument,
  type TypeReference,
  typeText,
  VALUE_KINDS,
} from "./graphql-ast.ts";
import { GraphqlError, type Position } from "./graphql-lexer.ts";
import { parseSchema } from "./graphql-parser.ts";

/** A schema that holds together: what queries are validated against. */
export interface Schema {
  /** All types, extensions merged in, those of the specification included. */
  readonly types: ReadonlyMap<string, Definition>;
  readonly directives: ReadonlyMap<string, DirectiveDefinition>;
  readonly roots: ReadonlyMap<Operation, string>;
}

/** The types and directives that every schema has (GraphQL specification, §3.5, §3.13, §4.1). */
const PRELUDE = `
scalar Int
scalar Float
scalar String
scalar Boolean
scalar ID
directive @defer(if: Boolean = true, label: String) on FRAGMENT_SPREAD | INLINE_FRAGMENT
directive @include(if: Boolean!) on FIELD | FRAGMENT_SPREAD | INLINE_FRAGMENT
directive @skip(if: Boolean!) on FIELD | FRAGMENT_SPREAD | INLINE_FRAGMENT
directive @deprecated(reason: String = "No longer supported")
  on FIELD_DEFINITION | ARGUMENT_DEFINITION | INPUT_FIELD_DEFINITION | ENUM_VALUE
directive @specifiedBy(url: String!) on SCALAR
directive @oneOf on INPUT_OBJECT
type __Schema {
  description: String
  types: [__Type!]!
  queryType: __Type!
  mutationType: __Type
  subscriptionType: __Type
  directives: [__Directive!]!
}
type __Type {
  kind: __TypeKind!
  name: String
  description: String
  specifiedByURL: String
  fields(includeDeprecated: Boolean = false): [__Field!]
  interfaces: [__Type!]
  possibleTypes: [__Type!]
  enumValues(includeDeprecated: Boolean = false): [__EnumValue!]
  inputFields(includeDeprecated: Boolean = false): [__InputValue!]
  ofType: __Type
  isOneOf: Boolean
}
enum __TypeKind { SCALAR OBJECT INTERFACE UNION ENUM INPUT_OBJECT LIST NON_NULL }
type __Field {
  name: String!
  description: String
  args(includeDeprecated: Boolean = false): [__InputValue!]!
  type: __Type!
  isDeprecated: Boolean!
  deprecationReason: String
}
type __InputValue {
  name: String!
  description: String
  type: __Type!
  defaultValue: String
  isDeprecated: Boolean!
  deprecationReason: String
}
type __EnumValue { name: String! description: String isDeprecated: Boolean! deprecationReason: String }
type __Directive {
  name: String!
  description: String
  isRepeatable: Boolean!
  locations: [__DirectiveLocation!]!
  args(includeDeprecated: Boolean = false): [__InputValue!]!
}
enum __DirectiveLocation {
  QUERY MUTATION SUBSCRIPTION FIELD FRAGMENT_DEFINITION FRAGMENT_SPREAD INLINE_FRAGMENT VARIABLE_DEFINITION
  SCHEMA SCALAR OBJECT FIELD_DEFINITION ARGUMENT_DEFINITION INTERFACE UNION ENUM ENUM_VALUE
  INPUT_OBJECT INPUT_FIELD_DEFINITION
}`;

/** Directives a schema may declare although they are built in. */
const REDECLARABLE: ReadonlySet<string> = new Set(["include", "skip", "deprecated", "specifiedBy", "defer", "oneOf"]);

const OUTPUT_KINDS: readonly DefinitionKind[] = ["SCALAR", "OBJECT", "INTERFACE", "UNION", "ENUM"];
const INPUT_KINDS: readonly DefinitionKind[] = ["SCALAR", "ENUM", "INPUT_OBJECT"];

let prelude: SchemaDocument | undefined;

function preludeDocument(): SchemaDocument {
  if (prelude === undefined) {
    const document = parseSchema(PRELUDE);
    prelude = { ...document, Definitions: document.Definitions.map((type) => ({ ...type, BuiltIn: true })) };
  }
  return prelude;
}

/**
 * Merges extensions and checks a schema document by the rules of gqlparser v2 (validator/schema.go).
 * @throws {GraphqlError} the first violation, in gqlparser's words
 */
export function toSchema(document: SchemaDocument): Schema {
  const builtIn = preludeDocument();
  const types = mergeTypes([...builtIn.Definitions, ...document.Definitions], document.Extensions);
  const directives = collectDirectives([...builtIn.Directives, ...document.Directives]);
  const [entry, second] = document.Schema;
  if (second !== undefined) {
    fail(second.Position, "Cannot have multiple schema entry points, consider schema extensions instead.");
  }
  const checker = new SchemaChecker(types, directives);
  const roots = new Map<Operation, string>();
  for (const definition of entry === undefined ? document.SchemaExtension : [entry, ...document.SchemaExtension]) {
    checker.checkSchemaDefinition(definition, roots);
  }
  for (const name of [...types.keys()].sort()) checker.checkType(types.get(name) as Definition);
  for (const name of [...directives.keys()].sort()) checker.checkDirective(directives.get(name) as DirectiveDefinition);
  if (entry === undefined) inferRoots(types, roots);
  return { types, directives, roots };
}

/** Without a `schema` definition, types called Query, Mutation and Subscription are the roots. */
function inferRoots(types: ReadonlyMap<string, Definition>, roots: Map<Operation, string>): void {
  const conventional: readonly (readonly [Operation, string])[] = [
    ["query", "Query"],
    ["mutation", "Mutation"],
    ["subscription", "Subscription"],
  ];
  for (const [operation, name] of conventional) {
    if (!roots.has(operation) && types.has(name)) roots.set(operation, name);
  }
}

function mergeTypes(definitions: readonly Definition[], extensions: readonly Definition[]): Map<string, Definition> {
  const types = new Map<string, Definition>();
  for (const definition of definitions) {
    if (types.has(definition.Name)) fail(definition.Position, `Cannot redeclare type ${definition.Name}.`);
    types.set(definition.Name, definition);
  }
  for (const extension of extensions) {
    const { Name, Kind, Position } = extension;
    const base = types.get(Name);
    if (base === undefined) {
      types.set(Name, extension);
      continue;
    }
    if (base.Kind !== Kind) {
      fail(Position, `Cannot extend type ${Name} because the base type is a ${base.Kind}, not ${Kind}.`);
    }
    types.set(Name, {
      ...base,
      Directives: [...base.Directives, ...extension.Directives],
      Interfaces: [...base.Interfaces, ...extension.Interfaces],
      Fields: [...base.Fields, ...extension.Fields],
      Types: [...base.Types, ...extension.Types],
      TypePositions: [...(base.TypePositions ?? []), ...(extension.TypePositions ?? [])],
      EnumValues: [...base.EnumValues, ...extension.EnumValues],
    });
  }
  return types;
}

function collectDirectives(definitions: readonly DirectiveDefinition[]): Map<string, DirectiveDefinition> {
  const directives = new Map<string, DirectiveDefinition>();
  for (const definition of definitions) {
    if (directives.has(definition.Name) && !REDECLARABLE.has(definition.Name)) {
      fail(definition.Position, `Cannot redeclare directive ${definition.Name}.`);
    }
    directives.set(definition.Name, definition);
  }
  return directives;
}

class SchemaChecker {
  readonly #types: ReadonlyMap<string, Definition>;
  readonly #directives: ReadonlyMap<string, DirectiveDefinition>;
  /** Types that may stand where the key is asked for: union members, implementers, an object itself. */
  readonly #possible = new Map<string, Set<string>>();

  constructor(types: ReadonlyMap<string, Definition>, directives: ReadonlyMap<string, DirectiveDefinition>) {
    this.#types = types;
    this.#directives = directives;
    for (const { Kind, Name, Types, Interfaces } of types.values()) {
      if (Kind === "UNION") for (const member of Types) this.#addPossible(Name, member);
      else if (Kind !== "SCALAR" && Kind !== "ENUM") {
        for (const name of Interfaces) this.#addPossible(name, Name);
        if (Kind !== "INTERFACE") this.#addPossible(Name, Name);
      }
    }
  }

  #addPossible(name: string, possible: string): void {
    const known = this.#possible.get(name);
    if (known === undefined) this.#possible.set(name, new Set([possible]));
    else known.add(possible);
  }

  checkSchemaDefinition(definition: SchemaDefinition, roots: Map<Operation, string>): void {
    for (const { Operation, Type, Position } of definition.OperationTypes) {
      if (!this.#types.has(Type)) {
        fail(Position, `Schema root ${Operation} refers to a type ${Type} that does not exist.`);
      }
      roots.set(Operation, Type);
    }
    this.#checkDirectives(definition.Directives, "SCHEMA");
  }

  checkType(type: Definition): void {
    const { Kind, Name, Position } = type;
    for (const field of type.Fields) {
      checkName(field.Name, field.Position);
      this.#checkReference(field.Type);
      this.#checkArguments(field.Arguments, undefined);
      this.#checkDirectives(field.Directives, Kind === "INPUT_OBJECT" ? "INPUT_FIELD_DEFINITION" : "FIELD_DEFINITION");
    }
    for (const member of type.Types) {
      const kind = this.#types.get(member)?.Kind;
      if (kind === undefined) fail(Position, `Undefined type ${quoteGo(member)}.`);
      if (kind !== "OBJECT") fail(Position, `${Kind} type ${quoteGo(member)} must be OBJECT.`);
    }
    for (const name of type.Interfaces) this.#checkImplements(type, name);
    this.#checkBody(type);
    checkUnique(type.Fields, (name) => `Field ${Name}.${name} can only be defined once.`);
    checkUnique(type.EnumValues, (name) => `Enum value ${Name}.${name} can only be defined once.`);
    const places = type.TypePositions?.length === type.Types.length ? type.TypePositions : [];
    const members = type.Types.map((member, i) => ({ Name: member, Position: places[i] ?? Position }));
    checkUnique(members, (name) => `Union type ${Name} can only include type ${name} once.`);
    if (!type.BuiltIn) checkName(Name, Position);
    // Directives of a type come from its definition and all its extensions, each a place of its own.
    this.#checkDirectives(type.Directives, Kind, { isOnePlace: false });
  }

  #checkBody(type: Definition): void {
    const { Kind, Name, Position } = type;
    switch (Kind) {
      case "OBJECT":
      case "INTERFACE":
        if (type.Fields.length === 0) fail(Position, `${Kind} ${Name}: must define one or more fields.`);
        for (const field of type.Fields) {
          const kind = this.#types.get(namedType(field.Type))?.Kind;
          if (kind !== undefined && !OUTPUT_KINDS.includes(kind)) {
            fail(field.Position, `${Kind} ${Name}: field must be one of ${OUTPUT_KINDS.join(", ")}.`);
          }
        }
        break;
      case "ENUM":
        if (type.EnumValues.length === 0) {
          fail(Position, `${Kind} ${Name}: must define one or more unique enum values.`);
        }
        for (const value of type.EnumValues) {
          if (["true", "false", "null"].includes(value.Name)) {
            fail(Position, `${Kind} ${Name}: non-enum value ${value.Name}.`);
          }
          this.#checkDirectives(value.Directives, "ENUM_VALUE");
        }
        break;
      case "INPUT_OBJECT":
        if (type.Fields.length === 0) fail(Position, `${Kind} ${Name}: must define one or more input fields.`);
        for (const field of type.Fields) {
          const kind = this.#types.get(namedType(field.Type))?.Kind;
          if (kind !== undefined && !INPUT_KINDS.includes(kind)) {
            fail(field.Position, `${kind} ${field.Name}: field must be one of ${INPUT_KINDS.join(", ")}.`);
          }
        }
        break;
      case "SCALAR":
      case "UNION":
        break;
    }
  }

  checkDirective(definition: DirectiveDefinition): void {
    checkName(definition.Name, definition.Position);
    this.#checkArguments(definition.Arguments, definition);
  }

  #checkReference(type: TypeReference): void {
    const name = namedType(type);
    if (!this.#types.has(name)) fail(type.Position, `Undefined type ${name}.`);
  }

  #checkArguments(args: readonly ArgumentDefinition[], within: DirectiveDefinition | undefined): void {
    for (const { Name, Type, Directives, Position } of args) {
      checkName(Name, Position);
      this.#checkReference(Type);
      const kind = this.#types.get(namedType(Type))?.Kind as DefinitionKind;
      if (!INPUT_KINDS.includes(kind)) {
        fail(Position, `cannot use ${typeText(Type)} as argument ${Name} because ${kind} is not a valid input type`);
      }
      this.#checkDirectives(Directives, "ARGUMENT_DEFINITION", { isOnePlace: true, within });
    }
  }

  #checkDirectives(
    directives: readonly Directive[],
    location: string,
    { isOnePlace, within }: { isOnePlace: boolean; within?: DirectiveDefinition | undefined } = { isOnePlace: true },
  ): void {
    const seen = new Set<string>();
    for (const directive of directives) {
      const { Name, Position } = directive;
      checkName(Name, Position);
      if (Name === within?.Name) fail(Position, `Directive ${Name} cannot refer to itself.`);
      const definition = this.#directives.get(Name);
      if (definition === undefined) fail(Position, `Undefined directive ${Name}.`);
      if (isOnePlace && seen.has(Name) && !definition.IsRepeatable) {
        fail(Position, `The directive ${Name} can only be used once at this location.`);
      }
      seen.add(Name);
      if (!definition.Locations.includes(location))
        fail(Position, `Directive ${Name} is not applicable on ${location}.`);
      checkDirectiveArguments(directive, definition);
    }
  }

  #checkImplements(type: Definition, name: string): void {
    const { Name, Position } = type;
    const face = this.#types.get(name);
    if (face === undefined) fail(Position, `Undefined type ${quoteGo(name)}.`);
    if (face.Kind !== "INTERFACE") fail(Position, `${quoteGo(name)} is a non interface type ${face.Kind}.`);
    for (const required of face.Fields) {
      const subject = `For ${Name} to implement ${name}`;
      const found = type.Fields.find((field) => field.Name === required.Name);
      if (found === undefined) fail(Position, `${subject} it must have a field called ${required.Name}.`);
      const inField = `${subject} the field ${required.Name} must have`;
      if (!this.#isCovariant(required.Type, found.Type)) {
        fail(found.Position, `${inField} type ${typeText(required.Type)}.`);
      }
      for (const arg of required.Arguments) {
        const own = found.Arguments.find((candidate) => candidate.Name === arg.Name);
        if (own === undefined) {
          fail(found.Position, `${inField} the same arguments but it is missing ${arg.Name}.`);
        }
        if (!isCompatible(arg.Type, own.Type)) {
          fail(own.Position, `${inField} the same arguments but ${arg.Name} has the wrong type.`);
        }
      }
      for (const own of found.Arguments) {
        const isExtra = !required.Arguments.some((arg) => arg.Name === own.Name);
        if (isExtra && own.Type.NonNull && own.DefaultValue === undefined) {
          const rule = `any additional arguments on ${found.Name} must be optional or have a default value`;
          fail(own.Position, `${subject} ${rule} but ${own.Name} is required.`);
        }
      }
    }
    for (const ancestor of face.Interfaces) {
      if (type.Interfaces.includes(ancestor)) continue;
      if (ancestor === Name) {
        fail(Position, `Type ${Name} cannot implement ${name} because it would create a circular reference.`);
      }
      fail(Position, `Type ${Name} must implement ${ancestor} because it is implemented by ${name}.`);
    }
  }

  #isCovariant(required: TypeReference, actual: TypeReference): boolean {
    if (required.NonNull && !actual.NonNull) return false;
    if (required.Elem === undefined) {
      if (required.NamedType === actual.NamedType) return true;
      return this.#possible.get(required.NamedType)?.has(actual.NamedType) ?? false;
    }
    return actual.Elem !== undefined && this.#isCovariant(required.Elem, actual.Elem);
  }
}

function checkDirectiveArguments(directive: Directive, definition: DirectiveDefinition): void {
  for (const arg of directive.Arguments) {
    if (!definition.Arguments.some(({ Name }) => Name === arg.Name)) {
      fail(arg.Position, `Undefined argument ${arg.Name} for directive ${directive.Name}.`);
    }
  }
  for (const { Name, Type, DefaultValue } of definition.Arguments) {
    if (!Type.NonNull || DefaultValue !== undefined) continue;
    const given = directive.Arguments.find((arg) => arg.Name === Name);
    if (given === undefined || given.Value.Kind === VALUE_KINDS.NullValue) {
      fail(directive.Position, `Argument ${Name} for directive ${directive.Name} cannot be null.`);
    }
  }
}

function isCompatible(type: TypeReference, other: TypeReference): boolean {
  if (type.NamedType !== other.NamedType) return false;
  if (type.Elem !== undefined && (other.Elem === undefined || !isCompatible(type.Elem, other.Elem))) return false;
  return !other.NonNull || type.NonNull;
}

function checkUnique(
  members: readonly { readonly Name: string; readonly Position?: Position | undefined }[],
  message: (name: string) => string,
): void {
  const seen = new Set<string>();
  for (const { Name, Position } of members) {
    if (seen.has(Name)) fail(Position, message(Name));
    seen.add(Name);
  }
}

function checkName(name: string, position: Position | undefined): void {
  if (name.startsWith("__")) {
    fail(position, `Name "${name}" must not begin with "__", which is reserved by GraphQL introspection.`);
  }
}

function fail(position: Position | undefined, message: string): never {
  throw new GraphqlError(message, position);
}
