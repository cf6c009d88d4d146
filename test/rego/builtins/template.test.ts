import { describe } from "vitest";
import { templateBuiltins } from "../../../src/rego/builtins/template.ts";
import { testAnswers, testRefusals } from "../../support/builtin-rows.ts";

// Every row was answered the same by opa 1.20.2.
describe("template", () => {
  testAnswers(templateBuiltins, [
    [
      "strings.render_template",
      '["{{.s}} {{.n}} {{.m.k}} {{.missing}} {{.z}}", {"s": "a<b>", "n": 5, "l": ["x", "y"], "m": {"k": "v"}, "z": null}]',
      '"a<b> 5 v <undefined> <undefined>"',
    ],
    [
      "strings.render_template",
      '["{{range $i, $v := .l}}{{if $i}},{{end}}{{$v}}{{end}}", {"s": "a<b>", "n": 5, "l": ["x", "y"], "m": {"k": "v"}, "z": null}]',
      '"x,y"',
    ],
    [
      "strings.render_template",
      '["{{range .l}}{{if eq . \\"y\\"}}{{break}}{{end}}{{.}}{{else}}none{{end}}", {"s": "a<b>", "n": 5, "l": ["x", "y"], "m": {"k": "v"}, "z": null}]',
      '"x"',
    ],
    [
      "strings.render_template",
      '["{{with .m}}{{.k}}{{else}}no{{end}}", {"s": "a<b>", "n": 5, "l": ["x", "y"], "m": {"k": "v"}, "z": null}]',
      '"v"',
    ],
    [
      "strings.render_template",
      '["{{define \\"T\\"}}[{{.}}]{{end}}{{template \\"T\\" .s}}", {"s": "a<b>", "n": 5, "l": ["x", "y"], "m": {"k": "v"}, "z": null}]',
      '"[a<b>]"',
    ],
    [
      "strings.render_template",
      '["{{block \\"B\\" .n}}<{{.}}>{{end}}", {"s": "a<b>", "n": 5, "l": ["x", "y"], "m": {"k": "v"}, "z": null}]',
      '"<5>"',
    ],
    [
      "strings.render_template",
      '["{{.s | html}} {{.s | js}} {{.s | urlquery}}", {"s": "a<b>", "n": 5, "l": ["x", "y"], "m": {"k": "v"}, "z": null}]',
      '"a&lt;b&gt; a\\\\u003Cb\\\\u003E a%3Cb%3E"',
    ],
    [
      "strings.render_template",
      '["{{len .l}} {{index .l 1}} {{slice .s 1 3}}", {"s": "a<b>", "n": 5, "l": ["x", "y"], "m": {"k": "v"}, "z": null}]',
      '"2 y <b"',
    ],
    [
      "strings.render_template",
      '["{{printf \\"%5.1f|%q\\" 1.5 .s}} {{print 1 2 \\"x\\"}}", {"s": "a<b>", "n": 5, "l": ["x", "y"], "m": {"k": "v"}, "z": null}]',
      '"  1.5|\\"a<b>\\" 1 2x"',
    ],
    [
      "strings.render_template",
      '["{{and .s .n}} {{or .z .s}} {{not .z}} {{eq .s \\"a<b>\\"}} {{lt 1 2}}", {"s": "a<b>", "n": 5, "l": ["x", "y"], "m": {"k": "v"}, "z": null}]',
      '"5 a<b> true true true"',
    ],
    [
      "strings.render_template",
      '["a {{- .n -}} b {{/* c */}}", {"s": "a<b>", "n": 5, "l": ["x", "y"], "m": {"k": "v"}, "z": null}]',
      '"a5b "',
    ],
    [
      "strings.render_template",
      '["{{$x := 1}}{{if true}}{{$x = 2}}{{end}}{{$x}}", {"s": "a<b>", "n": 5, "l": ["x", "y"], "m": {"k": "v"}, "z": null}]',
      '"2"',
    ],
    [
      "strings.render_template",
      '["{{range 3}}{{.}}{{end}}", {"s": "a<b>", "n": 5, "l": ["x", "y"], "m": {"k": "v"}, "z": null}]',
      '"012"',
    ],
    [
      "strings.render_template",
      '["{{printf \\"%d\\" .n}}", {"s": "a<b>", "n": 5, "l": ["x", "y"], "m": {"k": "v"}, "z": null}]',
      '"%!d(json.Number=5)"',
    ],
  ]);

  testRefusals(templateBuiltins, [
    [
      "strings.render_template",
      '["{{.s.x}}", {"s": "a<b>", "n": 5, "l": ["x", "y"], "m": {"k": "v"}, "z": null}]',
      'template: template:1:4: executing "template" at <.s.x>: can\'t evaluate field x in type interface {}',
    ],
    [
      "strings.render_template",
      '["{{range .n}}x{{end}}", {"s": "a<b>", "n": 5, "l": ["x", "y"], "m": {"k": "v"}, "z": null}]',
      'template: template:1:8: executing "template" at <.n>: range can\'t iterate over 5',
    ],
    [
      "strings.render_template",
      '["{{nofunc}}", {"s": "a<b>", "n": 5, "l": ["x", "y"], "m": {"k": "v"}, "z": null}]',
      'template: template:1: function "nofunc" not defined',
    ],
    [
      "strings.render_template",
      '["{{if}}x{{end}}", {"s": "a<b>", "n": 5, "l": ["x", "y"], "m": {"k": "v"}, "z": null}]',
      "template: template:1: missing value for if",
    ],
    [
      "strings.render_template",
      '["{{end}}", {"s": "a<b>", "n": 5, "l": ["x", "y"], "m": {"k": "v"}, "z": null}]',
      "template: template:1: unexpected {{end}}",
    ],
    [
      "strings.render_template",
      '["{{if .s}}x", {"s": "a<b>", "n": 5, "l": ["x", "y"], "m": {"k": "v"}, "z": null}]',
      "template: template:1: unexpected EOF",
    ],
    [
      "strings.render_template",
      '["{{.", {"s": "a<b>", "n": 5, "l": ["x", "y"], "m": {"k": "v"}, "z": null}]',
      'template: template:1: illegal number syntax: "."',
    ],
    [
      "strings.render_template",
      '["{{eq .n 5}}", {"s": "a<b>", "n": 5, "l": ["x", "y"], "m": {"k": "v"}, "z": null}]',
      'template: template:1:2: executing "template" at <eq .n 5>: error calling eq: incompatible types for comparison: json.Number and int',
    ],
    [
      "strings.render_template",
      '["{{template \\"T\\"}}", {"s": "a<b>", "n": 5, "l": ["x", "y"], "m": {"k": "v"}, "z": null}]',
      'template: template:1:11: executing "template" at <{{template "T"}}>: template "T" not defined',
    ],
    [
      "strings.render_template",
      '["{{$u}}", {"s": "a<b>", "n": 5, "l": ["x", "y"], "m": {"k": "v"}, "z": null}]',
      'template: template:1: undefined variable "$u"',
    ],
    [
      "strings.render_template",
      '["{{break}}", {"s": "a<b>", "n": 5, "l": ["x", "y"], "m": {"k": "v"}, "z": null}]',
      "template: template:1: {{break}} outside {{range}}",
    ],
    [
      "strings.render_template",
      '["{{index .l 9}}", {"s": "a<b>", "n": 5, "l": ["x", "y"], "m": {"k": "v"}, "z": null}]',
      'template: template:1:2: executing "template" at <index .l 9>: error calling index: index out of range: 9',
    ],
  ]);
});
