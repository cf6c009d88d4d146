import { quoteGo } from "../value/index.ts";
import type {
  Argument,
  ArgumentDefinition,
  ChildValue,
  CommentGroup,
  Definition,
  DefinitionKind,
  Directive,
  DirectiveDefinition,
  EnumValueDefinition,
  Field,
  FieldDefinition,
  FragmentDefinition,
  Operation,
  OperationDefinition,
  OperationTypeDefinition,
  QueryDocument,
  SchemaDefinition,
  SchemaDocument,
  Selection,
  TypeReference,
  ValueKind,
  ValueNode,
  VariableDefinition,
} from "./graphql-ast.ts";
import { VALUE_KINDS } from "./graphql-ast.ts";
import { GraphqlError, GraphqlLexer, type Position, type Token, type TokenKind } from "./graphql-lexer.ts";

/** Deeper nesting is refused; Go's stack grows, ours does not. */
const MAX_DEPTH = 500;

const DIRECTIVE_LOCATIONS: ReadonlySet<string> = new Set([
  ...["QUERY", "MUTATION", "SUBSCRIPTION", "FIELD", "FRAGMENT_DEFINITION", "FRAGMENT_SPREAD", "INLINE_FRAGMENT"],
  ...["VARIABLE_DEFINITION", "SCHEMA", "SCALAR", "OBJECT", "FIELD_DEFINITION", "ARGUMENT_DEFINITION", "INTERFACE"],
  ...["UNION", "ENUM", "ENUM_VALUE", "INPUT_OBJECT", "INPUT_FIELD_DEFINITION"],
]);

/**
 * Parses a query document.
 * @throws {GraphqlError}
 */
export function parseQuery(text: string): QueryDocument {
  return new QueryParser(text).parseDocument();
}

/**
 * Parses a schema document, without the definitions every schema has by specification.
 * @throws {GraphqlError}
 */
export function parseSchema(text: string): SchemaDocument {
  return new SchemaParser(text).parseDocument();
}

/** What queries and schemas share: tokens, comments, values, types, directives. @source gqlparser v2 parser/parser.go */
class GraphqlParser {
  readonly #lexer: GraphqlLexer;
  #peeked: Token | undefined;
  /** The comments right before the peeked token; gone as soon as it is taken. */
  #comment: CommentGroup | undefined;
  #depth = 0;

  constructor(text: string) {
    this.#lexer = new GraphqlLexer(text);
  }

  protected peek(): Token {
    if (this.#peeked !== undefined) return this.#peeked;
    let token = this.#lexer.read();
    const comments: { Value: string }[] = [];
    while (token.kind === "Comment") {
      comments.push({ Value: token.value });
      token = this.#lexer.read();
    }
    this.#comment = comments.length > 0 ? { List: comments } : undefined;
    this.#peeked = token;
    return token;
  }

  protected next(): Token {
    const token = this.peek();
    if (token.error !== undefined) throw token.error;
    this.#peeked = undefined;
    this.#comment = undefined;
    return token;
  }

  /** Comments before the next token. */
  protected comment(): CommentGroup | undefined {
    this.peek();
    return this.#comment;
  }

  protected position(): Position {
    return this.peek().position;
  }

  protected is(kind: TokenKind): boolean {
    return this.peek().kind === kind;
  }

  protected isKeyword(word: string): boolean {
    return this.peek().value === word;
  }

  protected skip(kind: TokenKind): boolean {
    if (!this.is(kind)) return false;
    this.next();
    return true;
  }

  protected expect(kind: TokenKind): Token {
    if (this.is(kind)) return this.next();
    return this.fail(`Expected ${kind}, found ${this.peek().kind}`);
  }

  protected expectKeyword(word: string): void {
    const token = this.peek();
    if (token.kind !== "Name" || token.value !== word) {
      this.fail(`Expected ${quoteGo(word)}, found ${describe(token)}`);
    }
    this.next();
  }

  protected fail(message: string, token = this.peek()): never {
    throw new GraphqlError(message, token.position);
  }

  protected unexpected(token = this.peek()): never {
    return this.fail(`Unexpected ${describe(token)}`, token);
  }

  /** Runs one level deeper. */
  protected nested<T>(parse: () => T): T {
    if (++this.#depth > MAX_DEPTH) this.fail(`nested more than ${MAX_DEPTH} levels deep`);
    const result = parse();
    this.#depth--;
    return result;
  }

  /** `start item* end`, or nothing. */
  protected many<T>(start: TokenKind, end: TokenKind, item: () => T): T[] {
    if (!this.skip(start)) return [];
    const items: T[] = [];
    while (!this.is(end)) items.push(item());
    this.next();
    return items;
  }

  /** `start item+ end`, or nothing; with the comments before the end. */
  protected some<T>(
    start: TokenKind,
    end: TokenKind,
    item: () => T,
  ): { items: T[]; comment: CommentGroup | undefined } {
    if (!this.skip(start)) return { items: [], comment: undefined };
    const items: T[] = [];
    while (!this.is(end)) items.push(item());
    if (items.length === 0) this.fail(`expected at least one definition, found ${this.peek().kind}`);
    const comment = this.comment();
    this.next();
    return { items, comment };
  }

  protected parseName(): string {
    return this.expect("Name").value;
  }

  protected parseOperationType(): Operation {
    const token = this.next();
    switch (token.value) {
      case "query":
      case "mutation":
      case "subscription":
        return token.value;
      default:
        return this.unexpected(token);
    }
  }

  protected parseTypeReference(): TypeReference {
    return this.nested(() => {
      let type: TypeReference;
      if (this.skip("[")) {
        const Position = this.position();
        const Elem = this.parseTypeReference();
        this.expect("]");
        type = { NamedType: "", Elem, NonNull: false, Position };
      } else {
        const Position = this.position();
        type = { NamedType: this.parseName(), NonNull: false, Position };
      }
      return this.skip("!") ? { ...type, NonNull: true } : type;
    });
  }

  protected parseDirectives(isConst: boolean): Directive[] {
    const directives: Directive[] = [];
    while (this.skip("@")) {
      const Position = this.position();
      directives.push({ Position, Name: this.parseName(), Arguments: this.parseArguments(isConst), Location: "" });
    }
    return directives;
  }

  protected parseArguments(isConst: boolean): Argument[] {
    return this.some("(", ")", () => {
      const Position = this.position();
      const Comment = this.comment();
      const Name = this.parseName();
      this.expect(":");
      return { Position, Comment, Name, Value: this.parseValue(isConst) };
    }).items;
  }

  protected parseVariable(): string {
    this.expect("$");
    return this.parseName();
  }

  protected parseValue(isConst: boolean): ValueNode {
    const token = this.peek();
    const Position = token.position;
    switch (token.kind) {
      case "[":
        return this.nested(() => {
          const Comment = this.comment();
          const Children = this.many("[", "]", () => ({ Name: "", Value: this.parseValue(isConst) }));
          return { ...value("", VALUE_KINDS.ListValue, Position), Children, Comment };
        });
      case "{":
        return this.nested(() => {
          const Comment = this.comment();
          const Children = this.many("{", "}", () => this.#parseObjectField(isConst));
          return { ...value("", VALUE_KINDS.ObjectValue, Position), Children, Comment };
        });
      case "$":
        return isConst ? this.unexpected() : value(this.parseVariable(), VALUE_KINDS.Variable, Position);
      case "Int":
        return value(this.next().value, VALUE_KINDS.IntValue, Position);
      case "Float":
        return value(this.next().value, VALUE_KINDS.FloatValue, Position);
      case "String":
        return value(this.next().value, VALUE_KINDS.StringValue, Position);
      case "BlockString":
        return value(this.next().value, VALUE_KINDS.BlockValue, Position);
      case "Name":
        return value(this.next().value, kindOfWord(token.value), Position);
      default:
        return this.unexpected();
    }
  }

  #parseObjectField(isConst: boolean): ChildValue {
    const Position = this.position();
    const Comment = this.comment();
    const Name = this.parseName();
    this.expect(":");
    return { Position, Comment, Name, Value: this.parseValue(isConst) };
  }
}

function value(Raw: string, Kind: ValueKind, Position: Position): ValueNode {
  return { Raw, Children: [], Kind, ExpectedTypeHasDefault: false, Position };
}

function kindOfWord(word: string): ValueKind {
  if (word === "true" || word === "false") return VALUE_KINDS.BooleanValue;
  return word === "null" ? VALUE_KINDS.NullValue : VALUE_KINDS.EnumValue;
}

function describe(token: Token): string {
  return token.value === "" ? token.kind : `${token.kind} ${quoteGo(token.value)}`;
}

/** @source gqlparser v2 parser/query.go */
class QueryParser extends GraphqlParser {
  parseDocument(): QueryDocument {
    const Operations: OperationDefinition[] = [];
    const Fragments: FragmentDefinition[] = [];
    while (!this.is("<EOF>")) {
      const token = this.peek();
      if (token.kind === "{") Operations.push(this.#parseOperation());
      else if (token.kind !== "Name") this.unexpected();
      else if (token.value === "fragment") Fragments.push(this.#parseFragmentDefinition());
      else if (["query", "mutation", "subscription"].includes(token.value)) Operations.push(this.#parseOperation());
      else this.unexpected();
    }
    return { Operations, Fragments };
  }

  #parseOperation(): OperationDefinition {
    const Position = this.position();
    const nothing = { Name: "", VariableDefinitions: [], Directives: [] };
    if (this.is("{")) return { ...nothing, Operation: "query", SelectionSet: this.#parseSelectionSet(), Position };
    const Comment = this.comment();
    const Operation = this.parseOperationType();
    const Name = this.is("Name") ? this.next().value : "";
    const VariableDefinitions = this.#parseVariableDefinitions();
    const Directives = this.parseDirectives(false);
    return {
      Operation,
      Name,
      VariableDefinitions,
      Directives,
      SelectionSet: this.#parseSelectionSet(),
      Position,
      Comment,
    };
  }

  #parseVariableDefinitions(): VariableDefinition[] {
    return this.some("(", ")", () => {
      const Position = this.position();
      const Comment = this.comment();
      const Variable = this.parseVariable();
      this.expect(":");
      const Type = this.parseTypeReference();
      const DefaultValue = this.skip("=") ? this.parseValue(true) : undefined;
      return { Variable, Type, DefaultValue, Directives: this.parseDirectives(false), Used: false, Position, Comment };
    }).items;
  }

  #parseSelectionSet(): Selection[] {
    if (!this.is("{")) this.fail(`Expected {, found ${this.peek().kind}`);
    return this.nested(
      () => this.some("{", "}", () => (this.is("...") ? this.#parseFragment() : this.#parseField())).items,
    );
  }

  #parseField(): Field {
    const Position = this.position();
    const Comment = this.comment();
    const Alias = this.parseName();
    const Name = this.skip(":") ? this.parseName() : Alias;
    const Arguments = this.parseArguments(false);
    const Directives = this.parseDirectives(false);
    const SelectionSet = this.is("{") ? this.#parseSelectionSet() : [];
    return { Alias, Name, Arguments, Directives, SelectionSet, Position, Comment };
  }

  #parseFragment(): Selection {
    const Comment = this.comment();
    this.expect("...");
    const Position = this.position();
    if (this.is("Name") && !this.isKeyword("on")) {
      return { Name: this.#parseFragmentName(), Directives: this.parseDirectives(false), Position, Comment };
    }
    let TypeCondition = "";
    if (this.isKeyword("on")) {
      this.next();
      TypeCondition = this.parseName();
    }
    const Directives = this.parseDirectives(false);
    return { TypeCondition, Directives, SelectionSet: this.#parseSelectionSet(), Position, Comment };
  }

  #parseFragmentDefinition(): FragmentDefinition {
    const Position = this.position();
    const Comment = this.comment();
    this.expectKeyword("fragment");
    const Name = this.#parseFragmentName();
    const VariableDefinition = this.#parseVariableDefinitions();
    this.expectKeyword("on");
    const TypeCondition = this.parseName();
    const Directives = this.parseDirectives(false);
    const SelectionSet = this.#parseSelectionSet();
    return { Name, VariableDefinition, TypeCondition, Directives, SelectionSet, Position, Comment };
  }

  #parseFragmentName(): string {
    if (this.isKeyword("on")) this.unexpected();
    return this.parseName();
  }
}

interface Description {
  readonly text: string;
  readonly comment: CommentGroup | undefined;
  /** The string itself. */
  readonly token: Token | undefined;
}

/** The parts of a definition that depend on its kind. */
type DefinitionBody = Partial<
  Pick<Definition, "Interfaces" | "Fields" | "Types" | "TypePositions" | "EnumValues" | "EndOfDefinitionComment">
>;

const KINDS: ReadonlyMap<string, DefinitionKind> = new Map([
  ["scalar", "SCALAR"],
  ["type", "OBJECT"],
  ["interface", "INTERFACE"],
  ["union", "UNION"],
  ["enum", "ENUM"],
  ["input", "INPUT_OBJECT"],
]);

/** @source gqlparser v2 parser/schema.go */
class SchemaParser extends GraphqlParser {
  parseDocument(): SchemaDocument {
    const Schema: SchemaDefinition[] = [];
    const SchemaExtension: SchemaDefinition[] = [];
    const Directives: DirectiveDefinition[] = [];
    const Definitions: Definition[] = [];
    const Extensions: Definition[] = [];
    while (!this.is("<EOF>")) {
      const description = this.#parseDescription();
      const { kind, value: word } = this.peek();
      if (kind !== "Name") this.unexpected();
      if (KINDS.has(word)) Definitions.push(this.#parseDefinition(description));
      else if (word === "schema") Schema.push(this.#parseSchemaDefinition(description));
      else if (word === "directive") Directives.push(this.#parseDirectiveDefinition(description));
      else if (word === "extend") {
        if (description.text !== "") this.unexpected(description.token);
        const comment = this.comment();
        this.next();
        if (this.isKeyword("schema")) SchemaExtension.push(this.#parseSchemaExtension(comment));
        else Extensions.push(this.#parseExtension(comment));
      } else this.unexpected();
    }
    return { Schema, SchemaExtension, Directives, Definitions, Extensions, Comment: this.comment() };
  }

  #parseDescription(): Description {
    if (!this.is("BlockString") && !this.is("String")) return { text: "", comment: undefined, token: undefined };
    const comment = this.comment();
    const token = this.next();
    return { text: token.value, comment, token };
  }

  /** What a described member begins with: description, comments, position. */
  #parsePreamble() {
    const description = this.#parseDescription();
    const isDescribed = description.text !== "";
    return {
      Description: description.text,
      BeforeDescriptionComment: isDescribed ? description.comment : undefined,
      AfterDescriptionComment: this.comment(),
      Position: this.position(),
    };
  }

  #parseSchemaDefinition(description: Description): SchemaDefinition {
    const AfterDescriptionComment = this.comment();
    this.expectKeyword("schema");
    return {
      Position: this.position(),
      BeforeDescriptionComment: description.comment,
      Description: description.text,
      AfterDescriptionComment,
      ...this.#parseSchemaBody(),
    };
  }

  #parseSchemaExtension(comment: CommentGroup | undefined): SchemaDefinition {
    this.expectKeyword("schema");
    const Position = this.position();
    const body = this.#parseSchemaBody();
    if (body.Directives.length === 0 && body.OperationTypes.length === 0) this.unexpected();
    return { Position, Description: "", AfterDescriptionComment: comment, ...body };
  }

  #parseSchemaBody() {
    const Directives = this.parseDirectives(true);
    const { items, comment } = this.some("{", "}", () => this.#parseOperationTypeDefinition());
    return { Directives, OperationTypes: items, EndOfDefinitionComment: comment };
  }

  #parseOperationTypeDefinition(): OperationTypeDefinition {
    const Position = this.position();
    const Comment = this.comment();
    const Operation = this.parseOperationType();
    this.expect(":");
    return { Operation, Type: this.parseName(), Position, Comment };
  }

  #parseDefinition(description: Description): Definition {
    const comment = this.comment();
    const Kind = KINDS.get(this.next().value) as DefinitionKind;
    const Position = this.position();
    const Name = this.parseName();
    const Interfaces = Kind === "OBJECT" || Kind === "INTERFACE" ? this.#parseInterfaces() : [];
    const Directives = this.parseDirectives(true);
    return {
      Kind,
      Name,
      Description: description.text,
      BeforeDescriptionComment: description.comment,
      AfterDescriptionComment: comment,
      Position,
      BuiltIn: false,
      ...NO_BODY,
      Interfaces,
      Directives,
      ...this.#parseBody(Kind),
    };
  }

  #parseExtension(comment: CommentGroup | undefined): Definition {
    const Kind = KINDS.get(this.peek().value);
    if (Kind === undefined) return this.unexpected();
    this.expectKeyword(this.peek().value);
    const Position = this.position();
    const Name = this.parseName();
    // gqlparser lets interfaces be implemented in definitions of interfaces, but not in their extensions.
    const Interfaces = Kind === "OBJECT" ? this.#parseInterfaces() : [];
    const Directives = this.parseDirectives(Kind !== "INPUT_OBJECT");
    const definition: Definition = {
      Kind,
      Name,
      Description: "",
      AfterDescriptionComment: comment,
      Position,
      BuiltIn: false,
      ...NO_BODY,
      Interfaces,
      Directives,
      ...this.#parseBody(Kind),
    };
    const { Fields, Types, EnumValues } = definition;
    if ([Interfaces, Directives, Fields, Types, EnumValues].every(({ length }) => length === 0)) this.unexpected();
    return definition;
  }

  #parseBody(kind: DefinitionKind): DefinitionBody {
    switch (kind) {
      case "SCALAR":
        return {};
      case "OBJECT":
      case "INTERFACE": {
        const { items, comment } = this.some("{", "}", () => this.#parseFieldDefinition());
        return { Fields: items, EndOfDefinitionComment: comment };
      }
      case "INPUT_OBJECT": {
        const { items, comment } = this.some("{", "}", () => this.#parseInputValue());
        return { Fields: items, EndOfDefinitionComment: comment };
      }
      case "ENUM": {
        const { items, comment } = this.some("{", "}", () => this.#parseEnumValue());
        return { EnumValues: items, EndOfDefinitionComment: comment };
      }
      case "UNION":
        return this.#parseUnionMembers();
    }
  }

  #parseInterfaces(): string[] {
    if (!this.isKeyword("implements")) return [];
    this.next();
    this.skip("&");
    return this.#separated("&", () => this.parseName());
  }

  #parseUnionMembers(): DefinitionBody {
    if (!this.skip("=")) return {};
    this.skip("|");
    const members = this.#separated("|", () => ({ position: this.position(), name: this.parseName() }));
    return { Types: members.map(({ name }) => name), TypePositions: members.map(({ position }) => position) };
  }

  #separated<T>(separator: TokenKind, item: () => T): T[] {
    const items = [item()];
    while (this.skip(separator)) items.push(item());
    return items;
  }

  #parseFieldDefinition(): FieldDefinition {
    const preamble = this.#parsePreamble();
    const Name = this.parseName();
    const Arguments = this.some("(", ")", () => this.#parseInputPart()).items;
    this.expect(":");
    const Type = this.parseTypeReference();
    return { ...preamble, Name, Arguments, Type, Directives: this.parseDirectives(true) };
  }

  #parseInputPart(): ArgumentDefinition {
    const preamble = this.#parsePreamble();
    const Name = this.parseName();
    this.expect(":");
    const Type = this.parseTypeReference();
    const DefaultValue = this.skip("=") ? this.parseValue(true) : undefined;
    return { ...preamble, Name, Type, DefaultValue, Directives: this.parseDirectives(true) };
  }

  #parseInputValue(): FieldDefinition {
    return { ...this.#parseInputPart(), Arguments: [] };
  }

  #parseEnumValue(): EnumValueDefinition {
    const preamble = this.#parsePreamble();
    const Name = this.parseName();
    return { ...preamble, Name, Directives: this.parseDirectives(true) };
  }

  #parseDirectiveDefinition(description: Description): DirectiveDefinition {
    const comment = this.comment();
    this.expectKeyword("directive");
    this.expect("@");
    const Position = this.position();
    const Name = this.parseName();
    const Arguments = this.some("(", ")", () => this.#parseInputPart()).items;
    const IsRepeatable = this.is("Name") && this.isKeyword("repeatable");
    if (IsRepeatable) this.next();
    this.expectKeyword("on");
    this.skip("|");
    return {
      Position,
      Description: description.text,
      BeforeDescriptionComment: description.comment,
      AfterDescriptionComment: comment,
      Name,
      Arguments,
      Locations: this.#separated("|", () => this.#parseDirectiveLocation()),
      IsRepeatable,
    };
  }

  #parseDirectiveLocation(): string {
    const token = this.expect("Name");
    return DIRECTIVE_LOCATIONS.has(token.value) ? token.value : this.unexpected(token);
  }
}

const NO_BODY = { Interfaces: [], Fields: [], Types: [], EnumValues: [] };
