import { describe } from "vitest";
import { encodingBuiltins } from "../../../src/rego/builtins/encoding.ts";
import { testAnswers, testRefusals } from "../../support/builtin-rows.ts";

// Every row was answered the same by opa 1.20.2.
describe("encoding", () => {
  testAnswers(encodingBuiltins, [
    [
      "json.marshal",
      '[{"b": [1, null, true], "a": "<\u00e9&>\\u2028\\u0001\\b"}]',
      String.raw`"{\"a\":\"\\u003cé\\u0026\\u003e\\u2028\\u0001\\b\",\"b\":[1,null,true]}"`,
    ],
    ["json.marshal", '["x"]', '"\\"x\\""'],
    [
      "json.marshal_with_options",
      '[{"a": [1, {}], "b": []}, {"pretty": true}]',
      '"{\\n\\t\\"a\\": [\\n\\t\\t1,\\n\\t\\t{}\\n\\t],\\n\\t\\"b\\": []\\n}"',
    ],
    ["json.marshal_with_options", '[{"a": 1}, {"indent": "  ", "prefix": "> "}]', '"> {\\n>   \\"a\\": 1\\n> }"'],
    ["json.marshal_with_options", '[{"a": 1}, {"indent": " ", "pretty": false}]', '"{\\"a\\":1}"'],
    ["json.unmarshal", '["{\\"a\\":[1,2.50,null]}"]', '{"a":[1,2.50,null]}'],
    ["json.unmarshal", '["\\"\\\\ud800\\""]', '"�"'],
    ["json.is_valid", '["[1]"]', "true"],
    ["json.is_valid", '["[1"]', "false"],
    ["base64.encode", '["héllo"]', '"aMOpbGxv"'],
    ["base64.decode", '["aMOpbGxv"]', '"héllo"'],
    ["base64.is_valid", '["aGk="]', "true"],
    ["base64.is_valid", '["a"]', "false"],
    ["base64url.encode", '["~~?>"]', '"fn4_Pg=="'],
    ["base64url.encode_no_pad", '["~~?"]', '"fn4_"'],
    ["base64url.encode_no_pad", '["~~?>"]', '"fn4_Pg"'],
    ["base64url.decode", '["fn4_Pg"]', '"~~?>"'],
    ["base64url.decode", '["fn4_Pg=="]', '"~~?>"'],
    ["urlquery.encode", '["a b&c=ü/~*"]', '"a+b%26c%3D%C3%BC%2F~%2A"'],
    ["urlquery.decode", '["a+b%26"]', '"a b&"'],
    ["urlquery.encode_object", '[{"b": ["1", "é"], "a": "x y"}]', '"a=x+y&b=1&b=%C3%A9"'],
    ["urlquery.decode_object", '["a=1&b=2&a=3&c"]', '{"a":["1","3"],"b":["2"],"c":[""]}'],
    ["hex.encode", '["é"]', '"c3a9"'],
    ["hex.decode", '["c3a9"]', '"é"'],
  ]);

  testRefusals(encodingBuiltins, [
    ["json.marshal_with_options", '[{"a": 1}, {"x": 1}]', 'operand 2 object contained unknown key "x"'],
    ["json.unmarshal", '[""]', "EOF"],
    ["json.unmarshal", '["{"]', "unexpected EOF"],
    ["json.unmarshal", '["1 2"]', "error: invalid character '2' after top-level value"],
    ["json.unmarshal", '["1 x"]', "invalid character 'x' looking for beginning of value"],
    ["json.unmarshal", '["[1,]"]', "invalid character ']' looking for beginning of value"],
    ["json.unmarshal", '["nul"]', "unexpected EOF"],
    ["json.unmarshal", '["\\"a\\nb\\""]', "invalid character '\\n' in string literal"],
    ["base64.decode", '["aGk"]', "illegal base64 data at input byte 0"],
    ["base64url.decode", '["a"]', "illegal base64url string: a"],
    ["urlquery.decode", '["%zz"]', 'invalid URL escape "%zz"'],
    ["urlquery.encode_object", '[{"a": [1]}]', "operand 1 values must be string, array[string], or set[string]"],
    ["urlquery.decode_object", '["a;b"]', "invalid semicolon separator in query"],
    ["hex.decode", '["6"]', "encoding/hex: odd length hex string"],
    ["hex.decode", '["zz"]', "encoding/hex: invalid byte: U+007A 'z'"],
    ["hex.decode", '["6é"]', "encoding/hex: invalid byte: U+00C3 'Ã'"],
  ]);
});
