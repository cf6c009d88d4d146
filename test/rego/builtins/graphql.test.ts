import { describe, expect, test } from "vitest";
import { graphqlBuiltins } from "../../../src/rego/builtins/graphql.ts";
import type { Value } from "../../../src/rego/value/index.ts";
import { builtinContext, caller } from "../../support/builtin-context.ts";

const call = caller(graphqlBuiltins);
const SCHEMA = `
type Query { dog(name: String!, n: Int = 1): Dog pets: [Pet!]! }
type Mutation { feed(input: Food!): Boolean }
interface Pet { name: String! }
type Dog implements Pet { name: String! owner: Human barks: Boolean }
type Human { name: String }
union Any = Dog | Human
enum Taste { SWEET SOUR }
input Food { taste: Taste = SWEET grams: Int! }
directive @audit(level: Int!) on FIELD
`;

describe("graphql.parse_query", () => {
  // The shape is gqlparser's, pruned as OPA prunes it (v1/topdown/graphql.go).
  test("gives gqlparser's tree without positions and empty parts", () => {
    expect(
      call("graphql.parse_query", 'query Q($x: [Int!] = 1) { a: b(c: $x, d: "s") @e { ...F ... on T { g } } }'),
    ).toEqual({
      Operations: [
        {
          Operation: "query",
          Name: "Q",
          VariableDefinitions: [
            {
              Variable: "x",
              Type: { NamedType: "", Elem: { NamedType: "Int", NonNull: true }, NonNull: false },
              DefaultValue: { Raw: "1", Kind: 1, ExpectedTypeHasDefault: false },
              Used: false,
            },
          ],
          SelectionSet: [
            {
              Alias: "a",
              Name: "b",
              Arguments: [
                { Name: "c", Value: { Raw: "x", Kind: 0, ExpectedTypeHasDefault: false } },
                { Name: "d", Value: { Raw: "s", Kind: 3, ExpectedTypeHasDefault: false } },
              ],
              Directives: [{ Name: "e", Location: "" }],
              SelectionSet: [{ Name: "F" }, { TypeCondition: "T", SelectionSet: [{ Alias: "g", Name: "g" }] }],
            },
          ],
        },
      ],
    });
  });

  // gqlparser v2 parser/query_test.yml and lexer/lexer_test.yml
  test.for([
    ["{", "Expected Name, found <EOF> in GraphQL string at location 1:2"],
    ["{ a: }", "Expected Name, found } in GraphQL string at location 1:6"],
    ["{}", "expected at least one definition, found } in GraphQL string at location 1:2"],
    ["notanoperation Foo { field }", 'Unexpected Name "notanoperation" in GraphQL string at location 1:1'],
    ["...", "Unexpected ... in GraphQL string at location 1:1"],
    ["query Foo($x: T = { a: { b: [ $v ] } }) { f }", "Unexpected $ in GraphQL string at location 1:31"],
    ["fragment on on on { on }", 'Unexpected Name "on" in GraphQL string at location 1:10'],
    ["{ ? }", "Expected Name, found <Invalid> in GraphQL string at location 1:3"],
    ['{ a(b: "x) }', "Unexpected <Invalid> in GraphQL string at location 1:13"],
    ["{ a(b: 01) }", "Unexpected <Invalid> in GraphQL string at location 1:9"],
  ] as const)("refuses %s", ([query, message]) => {
    expect(() => call("graphql.parse_query", query)).toThrow(message);
  });

  test("bounds nesting", () => {
    expect(() => call("graphql.parse_query", "{a".repeat(10_000))).toThrow("nested more than 500 levels deep");
    expect(() => call("graphql.parse_query", `{a(b: ${"[".repeat(10_000)})}`)).toThrow("nested more than 500");
  });

  test("charges long text to the budget", () => {
    let spent = 0;
    const spend = (steps: number) => {
      spent += steps;
    };
    caller(graphqlBuiltins, builtinContext({ spend }))("graphql.parse_query", `{ a }${" ".repeat(1600)}`);
    expect(spent).toBeGreaterThanOrEqual(100);
  });
});

describe("graphql.parse_schema", () => {
  test("keeps descriptions and comments", () => {
    expect(call("graphql.parse_schema", '# c\n"""\n  text\n    more\n"""\nscalar S\n# end')).toEqual({
      Definitions: [
        {
          Kind: "SCALAR",
          Name: "S",
          Description: "text\n  more",
          BuiltIn: false,
          BeforeDescriptionComment: { List: [{ Value: "# c" }] },
        },
      ],
      Comment: { List: [{ Value: "# end" }] },
    });
  });

  test.for([
    ["type Query {}", "expected at least one definition, found } in GraphQL string at location 1:13"],
    ["extend type Hello", "Unexpected <EOF> in GraphQL string at location 1:18"],
    ["union Hello = || Wo | Rld", "Expected Name, found | in GraphQL string at location 1:16"],
    ["directive @foo on FIELD | WRONG", 'Unexpected Name "WRONG" in GraphQL string at location 1:27'],
  ] as const)("refuses %s", ([schema, message]) => {
    expect(() => call("graphql.parse_schema", schema)).toThrow(message);
  });
});

describe("graphql.schema_is_valid", () => {
  // gqlparser v2 validator/schema_test.yml
  test.for([
    [SCHEMA, true],
    ["extend type User @key(fields: 1) { id: ID }", false],
    ["directive @key(fields: String) on OBJECT extend type User @key(fields: 1) { id: ID }", true],
    ["type A { b: B }", false],
    ["type A { b: Int b: Int }", false],
    ["type A implements I { b: Int } interface I { c: Int }", false],
    ["type A implements I { c: Int! } interface I { c: Int }", true],
    ["input A { b: B } type B { c: Int }", false],
    ["type A { b(c: A): Int }", false],
    ["enum E { true }", false],
    ["union U = Int", false],
    ["type __A { b: Int }", false],
    ["scalar Int", false],
    ["schema { query: Nowhere }", false],
    ["directive @skip(if: Boolean!) on FIELD", true],
    ["directive @a(b: Int @a) on ARGUMENT_DEFINITION", false],
  ] as const)("%s: %s", ([schema, want]) => {
    expect(call("graphql.schema_is_valid", schema)).toBe(want);
  });

  test("takes the tree graphql.parse_schema makes", () => {
    expect(call("graphql.schema_is_valid", call("graphql.parse_schema", SCHEMA) as Value)).toBe(true);
    expect(call("graphql.schema_is_valid", { Definitions: 1 })).toBe(false);
    expect(call("graphql.schema_is_valid", 1)).toBe(false);
  });
});

describe("graphql.is_valid", () => {
  test.for([
    ['{ dog(name: "x") { name barks } }', true],
    ["{ dog { name } }", false],
    ['{ dog(name: "x", age: 1) { name } }', false],
    ['{ dog(name: "x") }', false],
    ["{ pets { name ... on Dog { barks } } }", true],
    ["{ pets { ... on Human { name } } }", false],
    ["{ pets { ...F } } fragment F on Dog { barks }", true],
    ["{ pets { name } } fragment F on Dog { barks }", false],
    ["query($n: String!) { dog(name: $n) { name } }", true],
    ["query($n: Int!) { dog(name: $n) { name } }", false],
    ["query($n: String!) { pets { name } }", false],
    ["mutation { feed(input: {grams: 1}) }", true],
    ["mutation { feed(input: {taste: SALTY, grams: 1}) }", false],
    ["mutation { feed(input: {taste: SWEET}) }", false],
    ["subscription { a }", false],
    ["{ pets @audit(level: 1) { name } }", true],
    ["{ pets @audit { name } }", false],
    ["{ pets @include(if: true) { name } }", true],
    ["{ __schema { types { name } } __typename }", true],
    ["{ __schema { types { fields { type { fields { type { fields { name } } } } } } } }", false],
    ["{ pets { name } } { pets { name } }", false],
    ["not graphql", false],
  ] as const)("%s: %s", ([query, want]) => {
    expect(call("graphql.is_valid", query, SCHEMA)).toBe(want);
  });

  test("takes trees for text", () => {
    const query = call(
      "graphql.parse_query",
      "{ pets { ...F ... on Dog { barks } } } fragment F on Pet { name }",
    ) as Value;
    const schema = call("graphql.parse_schema", SCHEMA) as Value;
    expect(call("graphql.is_valid", query, schema)).toBe(true);
    expect(call("graphql.is_valid", query, SCHEMA)).toBe(true);
  });
});

describe("graphql.parse", () => {
  test("gives both trees", () => {
    const [query, schema] = call("graphql.parse", "{ pets { name } }", SCHEMA) as Value[];
    expect(query).toEqual(call("graphql.parse_query", "{ pets { name } }"));
    expect(schema).toEqual(call("graphql.parse_schema", SCHEMA));
  });

  test.for([
    ["{ cats }", SCHEMA, 'Cannot query field "cats" on type "Query". Did you mean "pets"?'],
    ["{ cats }", SCHEMA, " in GraphQL string at location 1:3"],
    ["subscription { a }", SCHEMA, 'Schema does not support operation type "subscription"'],
    [
      "{ a }",
      "type A { b: B }",
      "Error in gqlparser SchemaDocument to Schema conversion: input:1:13: Undefined type B.",
    ],
  ] as const)("refuses %s under %s", ([query, schema, message]) => {
    expect(() => call("graphql.parse", query, schema)).toThrow(message);
  });

  // OPA counts these operands from 0.
  test("refuses other operands", () => {
    expect(() => call("graphql.parse", 1, SCHEMA)).toThrow("operand 0 must be one of {string, object} but got number");
    expect(() => call("graphql.parse", "{ a }", [])).toThrow("operand 1 must be one of {string, object} but got array");
  });
});

test("graphql.parse_and_verify tells whether it succeeded", () => {
  expect((call("graphql.parse_and_verify", "{ pets { name } }", SCHEMA) as Value[])[0]).toBe(true);
  expect(call("graphql.parse_and_verify", "{ cats }", SCHEMA)).toEqual([false, {}, {}]);
});
