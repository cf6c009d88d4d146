import {
  type ASTNode,
  buildASTSchema,
  type ConstDirectiveNode,
  type DefinitionNode,
  type DocumentNode,
  ExecutableDefinitionsRule,
  type FieldDefinitionNode,
  type GraphQLError,
  GraphQLError as LibraryError,
  type GraphQLSchema,
  type InputValueDefinitionNode,
  Kind,
  type NamedTypeNode,
  type NameNode,
  OperationTypeNode,
  type SelectionNode,
  type SelectionSetNode,
  specifiedRules,
  type TypeNode,
  type ValueNode as LibraryValue,
  validate,
  type VariableDefinitionNode,
} from "graphql";
import {
  type Argument,
  type ArgumentDefinition,
  type Definition,
  type Directive,
  type DirectiveDefinition,
  type FieldDefinition,
  type Operation,
  type QueryDocument,
  type Selection,
  type TypeReference,
  VALUE_KINDS,
  type ValueNode,
  type VariableDefinition,
} from "./graphql-ast.ts";
import { GraphqlError, type Position } from "./graphql-lexer.ts";
import type { Schema } from "./graphql-schema.ts";

/** A schema in the form the validation library works on. */
export type CompiledSchema = { readonly schema: Schema; readonly library: GraphQLSchema };

/** Directives the library brings along. */
const LIBRARY_DIRECTIVES: ReadonlySet<string> = new Set(["include", "skip", "deprecated", "specifiedBy", "oneOf"]);
const RULES = specifiedRules.filter((rule) => rule !== ExecutableDefinitionsRule);
const MAX_ERRORS = 20;

/**
 * Prepares a checked schema for validation.
 * @throws {GraphqlError} should the library refuse what gqlparser's rules let pass
 */
export function compileSchema(schema: Schema): CompiledSchema {
  const converter = new Converter();
  const definitions: DefinitionNode[] = [];
  for (const type of schema.types.values()) if (!type.BuiltIn) definitions.push(converter.type(type));
  for (const directive of schema.directives.values()) {
    if (!LIBRARY_DIRECTIVES.has(directive.Name)) definitions.push(converter.directiveDefinition(directive));
  }
  definitions.push({
    kind: Kind.SCHEMA_DEFINITION,
    operationTypes: [...schema.roots].map(([operation, name]) => ({
      kind: Kind.OPERATION_TYPE_DEFINITION,
      operation: operationType(operation),
      type: converter.named(name),
    })),
  });
  try {
    const library = buildASTSchema({ kind: Kind.DOCUMENT, definitions }, { assumeValid: true, assumeValidSDL: true });
    return { schema, library };
  } catch (error) {
    if (error instanceof LibraryError || error instanceof Error) throw new GraphqlError(error.message, undefined);
    throw error;
  }
}

/**
 * Whether a query may be asked of a schema.
 * @returns the violations, each with the place it is found at; empty if there are none.
 */
export function validateQuery({ schema, library }: CompiledSchema, query: QueryDocument): readonly GraphqlError[] {
  const converter = new Converter();
  const errors: GraphqlError[] = [];
  for (const { Operation, Position } of query.Operations) {
    // Nothing in the library's validation asks for this; it would only fail when executed.
    if (!schema.roots.has(Operation)) {
      errors.push(new GraphqlError(`Schema does not support operation type "${Operation}"`, Position));
    }
  }
  const document = converter.query(query);
  for (const error of validate(library, document, RULES, { maxErrors: MAX_ERRORS })) {
    errors.push(new GraphqlError(error.message, converter.placeOf(error)));
  }
  return errors;
}

/** Turns our trees into the library's, remembering where each node came from. */
class Converter {
  readonly #places = new WeakMap<ASTNode, Position>();

  /** Of two places that contradict each other gqlparser names the later. */
  placeOf(error: GraphQLError): Position | undefined {
    for (const node of [...(error.nodes ?? [])].reverse()) {
      const place = this.#places.get(node);
      if (place !== undefined) return place;
    }
    return undefined;
  }

  #at<T extends ASTNode>(node: T, place: Position | undefined): T {
    if (place !== undefined) this.#places.set(node, place);
    return node;
  }

  query({ Operations, Fragments }: QueryDocument): DocumentNode {
    const operations = Operations.map((operation): DefinitionNode => {
      const { Name, Position } = operation;
      const node: DefinitionNode = {
        kind: Kind.OPERATION_DEFINITION,
        operation: operationType(operation.Operation),
        ...(Name !== "" && { name: this.#name(Name, Position) }),
        variableDefinitions: this.#variables(operation.VariableDefinitions),
        directives: this.#directives(operation.Directives),
        selectionSet: this.#selectionSet(operation.SelectionSet, Position),
      };
      return this.#at(node, Position);
    });
    const fragments = Fragments.map((fragment): DefinitionNode => {
      const { Position } = fragment;
      const node: DefinitionNode = {
        kind: Kind.FRAGMENT_DEFINITION,
        name: this.#name(fragment.Name, Position),
        variableDefinitions: this.#variables(fragment.VariableDefinition),
        typeCondition: this.named(fragment.TypeCondition, Position),
        directives: this.#directives(fragment.Directives),
        selectionSet: this.#selectionSet(fragment.SelectionSet, Position),
      };
      return this.#at(node, Position);
    });
    return { kind: Kind.DOCUMENT, definitions: [...operations, ...fragments] };
  }

  #variables(definitions: readonly VariableDefinition[]): VariableDefinitionNode[] {
    return definitions.map((definition) => {
      const { Position, DefaultValue } = definition;
      const name = this.#name(definition.Variable, Position);
      const node: VariableDefinitionNode = {
        kind: Kind.VARIABLE_DEFINITION,
        variable: this.#at({ kind: Kind.VARIABLE, name }, Position),
        type: this.#type(definition.Type),
        ...(DefaultValue !== undefined && { defaultValue: this.#value(DefaultValue) as never }),
        directives: this.#directives(definition.Directives) as ConstDirectiveNode[],
      };
      return this.#at(node, Position);
    });
  }

  #selectionSet(selections: readonly Selection[], place: Position | undefined): SelectionSetNode {
    const nodes = selections.map((selection) => this.#selection(selection));
    return this.#at({ kind: Kind.SELECTION_SET, selections: nodes }, place);
  }

  #selection(selection: Selection): SelectionNode {
    const { Position } = selection;
    const directives = this.#directives(selection.Directives);
    if ("TypeCondition" in selection) {
      const { TypeCondition } = selection;
      const node: SelectionNode = {
        kind: Kind.INLINE_FRAGMENT,
        ...(TypeCondition !== "" && { typeCondition: this.named(TypeCondition, Position) }),
        directives,
        selectionSet: this.#selectionSet(selection.SelectionSet, Position),
      };
      return this.#at(node, Position);
    }
    const name = this.#name(selection.Name, Position);
    if (!("Alias" in selection)) return this.#at({ kind: Kind.FRAGMENT_SPREAD, name, directives }, Position);
    const node: SelectionNode = {
      kind: Kind.FIELD,
      ...(selection.Alias !== selection.Name && { alias: this.#name(selection.Alias, Position) }),
      name,
      arguments: this.#arguments(selection.Arguments, Position),
      directives,
      ...(selection.SelectionSet.length > 0 && { selectionSet: this.#selectionSet(selection.SelectionSet, Position) }),
    };
    return this.#at(node, Position);
  }

  #directives(directives: readonly Directive[]) {
    return directives.map(({ Name, Arguments, Position }) =>
      this.#at(
        {
          kind: Kind.DIRECTIVE as const,
          name: this.#name(Name, Position),
          arguments: this.#arguments(Arguments, Position),
        },
        Position,
      ),
    );
  }

  /** gqlparser reports an argument at the field or directive it belongs to. */
  #arguments(args: readonly Argument[], owner: Position | undefined) {
    return args.map(({ Name, Value }) =>
      this.#at({ kind: Kind.ARGUMENT as const, name: this.#name(Name, owner), value: this.#value(Value) }, owner),
    );
  }

  #value(value: ValueNode): LibraryValue {
    return this.#at(this.#valueNode(value), value.Position);
  }

  #valueNode({ Kind: kind, Raw, Children, Position }: ValueNode): LibraryValue {
    switch (kind) {
      case VALUE_KINDS.Variable:
        return { kind: Kind.VARIABLE, name: this.#name(Raw, Position) };
      case VALUE_KINDS.IntValue:
        return { kind: Kind.INT, value: Raw };
      case VALUE_KINDS.FloatValue:
        return { kind: Kind.FLOAT, value: Raw };
      case VALUE_KINDS.StringValue:
        return { kind: Kind.STRING, value: Raw };
      case VALUE_KINDS.BlockValue:
        return { kind: Kind.STRING, value: Raw, block: true };
      case VALUE_KINDS.BooleanValue:
        return { kind: Kind.BOOLEAN, value: Raw === "true" };
      case VALUE_KINDS.NullValue:
        return { kind: Kind.NULL };
      case VALUE_KINDS.EnumValue:
        return { kind: Kind.ENUM, value: Raw };
      case VALUE_KINDS.ListValue:
        return { kind: Kind.LIST, values: Children.map((child) => this.#value(child.Value)) };
      case VALUE_KINDS.ObjectValue:
        return {
          kind: Kind.OBJECT,
          fields: Children.map(({ Name, Value, Position: place }) =>
            this.#at({ kind: Kind.OBJECT_FIELD, name: this.#name(Name, place), value: this.#value(Value) }, place),
          ),
        };
      default:
        throw new GraphqlError(`unknown value kind ${String(kind)}`, Position);
    }
  }

  type(definition: Definition): DefinitionNode {
    const name = this.#name(definition.Name, definition.Position);
    const interfaces = definition.Interfaces.map((face) => this.named(face));
    switch (definition.Kind) {
      case "SCALAR":
        return { kind: Kind.SCALAR_TYPE_DEFINITION, name };
      case "OBJECT":
        return { kind: Kind.OBJECT_TYPE_DEFINITION, name, interfaces, fields: this.#fields(definition.Fields) };
      case "INTERFACE":
        return { kind: Kind.INTERFACE_TYPE_DEFINITION, name, interfaces, fields: this.#fields(definition.Fields) };
      case "UNION":
        return { kind: Kind.UNION_TYPE_DEFINITION, name, types: definition.Types.map((type) => this.named(type)) };
      case "ENUM":
        return {
          kind: Kind.ENUM_TYPE_DEFINITION,
          name,
          values: definition.EnumValues.map(({ Name, Position }) => ({
            kind: Kind.ENUM_VALUE_DEFINITION,
            name: this.#name(Name, Position),
          })),
        };
      case "INPUT_OBJECT":
        return {
          kind: Kind.INPUT_OBJECT_TYPE_DEFINITION,
          name,
          fields: definition.Fields.map((field) => this.#inputValue(field)),
          directives: this.#directives(definition.Directives.filter(({ Name }) => Name === "oneOf")) as never,
        };
      default:
        throw new GraphqlError(`unknown definition kind ${String(definition.Kind)}`, definition.Position);
    }
  }

  directiveDefinition({ Name, Arguments, Locations, IsRepeatable }: DirectiveDefinition): DefinitionNode {
    return {
      kind: Kind.DIRECTIVE_DEFINITION,
      name: this.#name(Name, undefined),
      arguments: Arguments.map((argument) => this.#inputValue(argument)),
      repeatable: IsRepeatable,
      locations: Locations.map((location) => this.#name(location, undefined)),
    };
  }

  #fields(fields: readonly FieldDefinition[]): FieldDefinitionNode[] {
    return fields.map(({ Name, Arguments, Type, Position }) => ({
      kind: Kind.FIELD_DEFINITION,
      name: this.#name(Name, Position),
      arguments: Arguments.map((argument) => this.#inputValue(argument)),
      type: this.#type(Type),
    }));
  }

  #inputValue({ Name, Type, DefaultValue, Position }: ArgumentDefinition): InputValueDefinitionNode {
    return {
      kind: Kind.INPUT_VALUE_DEFINITION,
      name: this.#name(Name, Position),
      type: this.#type(Type),
      ...(DefaultValue !== undefined && { defaultValue: this.#value(DefaultValue) as never }),
    };
  }

  #type({ NamedType, Elem, NonNull, Position }: TypeReference): TypeNode {
    const type: TypeNode =
      Elem === undefined ? this.named(NamedType, Position) : { kind: Kind.LIST_TYPE, type: this.#type(Elem) };
    return this.#at(NonNull ? { kind: Kind.NON_NULL_TYPE, type } : type, Position);
  }

  named(name: string, place?: Position | undefined): NamedTypeNode {
    return this.#at({ kind: Kind.NAMED_TYPE, name: this.#name(name, place) }, place);
  }

  #name(value: string, place: Position | undefined): NameNode {
    return this.#at({ kind: Kind.NAME, value }, place);
  }
}

function operationType(operation: Operation): OperationTypeNode {
  switch (operation) {
    case "query":
      return OperationTypeNode.QUERY;
    case "mutation":
      return OperationTypeNode.MUTATION;
    case "subscription":
      return OperationTypeNode.SUBSCRIPTION;
    default:
      throw new GraphqlError(`got unknown operation type "${String(operation)}"`, undefined);
  }
}
