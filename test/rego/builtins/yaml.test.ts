import { describe } from "vitest";
import { encodingBuiltins } from "../../../src/rego/builtins/encoding.ts";
import { testAnswers, testRefusals } from "../../support/builtin-rows.ts";

// Every row was answered the same by opa 1.20.2.
describe("yaml", () => {
  testAnswers(encodingBuiltins, [
    ["yaml.unmarshal", '["a: 1\\nb: [x, \\"y\\", ~]\\n"]', '{"a":1,"b":["x","y",null]}'],
    [
      "yaml.unmarshal",
      '["a: yes\\nb: 0o17\\nc: 017\\nd: 1_000\\ne: 1e3\\nf: 2001-01-01\\ng: .5\\nh: 0x1f"]',
      '{"a":true,"b":15,"c":15,"d":1000,"e":1000,"f":"2001-01-01","g":0.5,"h":31}',
    ],
    [
      "yaml.unmarshal",
      '["x: &a {k: 1}\\nz: *a\\nm:\\n  <<: *a\\n  w: 2"]',
      '{"m":{"k":1,"w":2},"x":{"k":1},"z":{"k":1}}',
    ],
    ["yaml.unmarshal", '["1.5: a\\ntrue: b\\n1: c"]', '{"1":"c","1.5":"a","true":"b"}'],
    ["yaml.unmarshal", '["a: |\\n  x\\n  y\\nb: >-\\n  f\\n  g"]', '{"a":"x\\ny\\n","b":"f g"}'],
    ["yaml.unmarshal", '["a: 1\\n---\\nb: 2"]', '{"a":1}'],
    ["yaml.unmarshal", '[""]', "null"],
    ["yaml.unmarshal", '["a: 1\\na: 2"]', '{"a":2}'],
    ["yaml.unmarshal", '["a: !!str 5\\nb: !!binary aGk="]', '{"a":"5","b":"hi"}'],
    ["yaml.is_valid", '["a: 1"]', "true"],
    ["yaml.is_valid", '["a: ["]', "false"],
    [
      "yaml.marshal",
      '[{"b": [1, {"c": null, "d": [[1]]}], "a": {}, "k10": 1, "k2": 1.5}]',
      '"a: {}\\nb:\\n- 1\\n- c: null\\n  d:\\n  - - 1\\nk2: 1.5\\nk10: 1\\n"',
    ],
    [
      "yaml.marshal",
      '[["true", "1", "1.0", "", "~", " x", "a: b", "- x", "#x", "2001-01-01", "1e3", "0x1f", "on", "a#b", "it\'s", "é", "😀", "a\\tb"]]',
      '"- \\"true\\"\\n- \\"1\\"\\n- \\"1.0\\"\\n- \\"\\"\\n- \\"~\\"\\n- \' x\'\\n- \'a: b\'\\n- \'- x\'\\n- \'#x\'\\n- \\"2001-01-01\\"\\n- \\"1e3\\"\\n- \\"0x1f\\"\\n- \\"on\\"\\n- a#b\\n- it\'s\\n- é\\n- \\"\\\\U0001F600\\"\\n- \\"a\\\\tb\\"\\n"',
    ],
    [
      "yaml.marshal",
      '[{"multi": "a\\nb\\n", "keep": "a\\n\\n", "strip": "a\\nb", "lead": "\\n a"}]',
      '"keep: |+\\n  a\\n\\nlead: |2-\\n\\n   a\\nmulti: |\\n  a\\n  b\\nstrip: |-\\n  a\\n  b\\n"',
    ],
    [
      "yaml.marshal",
      '["lorem ipsum dolor sit amet, consectetur adipiscing elit, sed do eiusmod tempor incididunt ut labore"]',
      '"lorem ipsum dolor sit amet, consectetur adipiscing elit, sed do eiusmod tempor incididunt\\n  ut labore\\n"',
    ],
    [
      "yaml.marshal",
      '[{"kkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkk": 1}]',
      '"? kkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkk\\n: 1\\n"',
    ],
    ["yaml.marshal", "[[]]", '"[]\\n"'],
  ]);

  testRefusals(encodingBuiltins, [
    ["yaml.unmarshal", '["[1,2,3"]', "yaml: line 1: did not find expected ',' or ']'"],
    ["yaml.unmarshal", '["{a: 1"]', "yaml: line 1: did not find expected ',' or '}'"],
    ["yaml.unmarshal", '["a: ["]', "yaml: line 1: did not find expected node content"],
    ["yaml.unmarshal", '["a: b: c"]', "yaml: mapping values are not allowed in this context"],
    ["yaml.unmarshal", '["\\"abc"]', "yaml: found unexpected end of stream"],
    ["yaml.unmarshal", '["a: *x"]', "yaml: unknown anchor 'x' referenced"],
    ["yaml.unmarshal", '["&a [*a]"]', "yaml: anchor 'a' value contains itself"],
    ["yaml.unmarshal", '["a: .nan"]', "json: unsupported value: NaN"],
    ["yaml.unmarshal", '["a: !!int foo"]', "yaml: cannot decode !!str `foo` as a !!int"],
  ]);
});
