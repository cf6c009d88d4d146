import { describe } from "vitest";
import { objectBuiltins } from "../../../src/rego/builtins/object.ts";
import { testAnswers, testRefusals } from "../../support/builtin-rows.ts";

// Every row was answered the same by opa 1.20.2.
describe("object", () => {
  testAnswers(objectBuiltins, [
    ["object.get", '[{"a": {"b": [10, 20]}}, ["a", "b", 1], "d"]', "20"],
    ["object.get", '[{"a": 1}, "b", "d"]', '"d"'],
    ["object.get", '[{"a": null}, "a", "d"]', "null"],
    ["object.get", '[{"a": 1}, [], "d"]', '{"a":1}'],
    ["object.keys", '[{"a": 1, "b": 2}]', '["a","b"]'],
    ["object.remove", '[{"a": 1, "b": 2}, ["a"]]', '{"b":2}'],
    ["object.remove", '[{"a": 1, "b": 2}, {"b": 3}]', '{"a":1}'],
    ["object.filter", '[{"a": 1, "b": 2}, ["a", "z"]]', '{"a":1}'],
    ["object.union", '[{"a": {"x": 1}, "b": 1}, {"a": {"y": 2}, "b": [1]}]', '{"a":{"x":1,"y":2},"b":[1]}'],
    ["object.union_n", '[[{"a": {"b": 2}}, {"a": 4}, {"a": {"c": 3}}]]', '{"a":{"c":3}}'],
    ["object.subset", '[{"a": [1, 2, 3], "b": 1}, {"a": [2, 3]}]', "true"],
    ["object.subset", '[{"a": {"b": 1, "c": 2}}, {"a": {"b": 1}}]', "true"],
    ["object.subset", '[{"a": 1}, {"a": 2}]', "false"],
    ["object.subset", "[[1, 2, 3], [1, 3]]", "false"],
    ["object.subset", "[[], []]", "true"],
    ["json.filter", '[{"a": {"b": 1, "c": 2}, "d": 3}, ["a/b"]]', '{"a":{"b":1}}'],
    ["json.filter", '[{"a": [10, 20, 30]}, ["a/0", "a/2"]]', '{"a":[10,30]}'],
    ["json.filter", '[{"a": {"b": 1}}, ["a", "a/b"]]', '{"a":{"b":1}}'],
    ["json.filter", '[{"a/b": 1, "c": 2}, ["a~1b"]]', '{"a/b":1}'],
    ["json.filter", '[{"a": 1}, [""]]', "{}"],
    ["json.remove", '[{"a": {"b": 1, "c": 2}}, ["a/b"]]', '{"a":{"c":2}}'],
    ["json.remove", '[{"a": [1, 2, 3]}, ["a/1"]]', '{"a":[1,3]}'],
    ["json.remove", '[{"a": 1}, [["a"]]]', "{}"],
    ["json.remove", '[{"a": 1}, [""]]', '{"a":1}'],
    ["json.patch", '[{"a": [1, 2]}, [{"op": "add", "path": "/a/-", "value": 3}]]', '{"a":[1,2,3]}'],
    ["json.patch", '[{"a": 1}, [{"op": "replace", "path": "/a", "value": 2}]]', '{"a":2}'],
    ["json.patch", '[{"a": 1}, [{"op": "move", "from": "/a", "path": "/b"}]]', '{"b":1}'],
    [
      "json.patch",
      '[{"a": {"x": 1}}, [{"op": "copy", "from": "/a", "path": "/b"}, {"op": "remove", "path": "/a/x"}]]',
      '{"a":{},"b":{"x":1}}',
    ],
    ["json.patch", '[{"a": 1}, [{"op": "test", "path": "/a", "value": 1}]]', '{"a":1}'],
    ["json.patch", '[{"a": 1}, [{"op": "add", "path": "", "value": 5}]]', "5"],
  ]);

  testRefusals(objectBuiltins, [
    ["object.get", '[[1], 0, "d"]', "operand 1 must be object but got array"],
    ["object.keys", "[[1]]", "operand 1 must be object but got array"],
    ["object.remove", '[{"a": 1}, 1]', "operand 2 must be one of {object, set, array} but got number"],
    ["object.union_n", "[[{}, 1]]", "operand 1 must be array of objects but got array containing number"],
    ["object.subset", '[{"a": 1}, [1]]', "both arguments object.subset must be of the same type or array and set"],
    [
      "json.filter",
      '[{"a": 1}, [1]]',
      "operand 2 must be one of {set, array} containing string paths or array of path segments but got number",
    ],
    [
      "json.patch",
      '[{"a": 1}, [{"op": "test", "path": "/a", "value": 2}]]',
      "value from EditTree != patch value.\n\nExpected: 2\n\nFound: 1",
    ],
    [
      "json.patch",
      '[{"a": [1]}, [{"op": "add", "path": "/a/01", "value": 1}]]',
      "leading zeros are not allowed in JSON paths",
    ],
    [
      "json.patch",
      '[{"a": [1]}, [{"op": "add", "path": "/a/5", "value": 1}]]',
      "index for array insertion out of bounds",
    ],
    ["json.patch", '[{}, [{"op": "bogus", "path": "/a"}]]', "unrecognized op: 'bogus'"],
    ["json.patch", '[{}, [{"op": "add", "path": "/a"}]]', "missing required attribute 'value'"],
    ["json.patch", '[{}, [{"path": "/a"}]]', "missing required attribute 'op'"],
    ["json.patch", "[{}, [1]]", "must be an array of JSON-Patch objects, but at least one element is not an object"],
    ["json.patch", '[{"a": 1}, [{"op": "remove", "path": "/b"}]]', 'cannot delete child key "b" that does not exist'],
  ]);
});
