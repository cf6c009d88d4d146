import { placeOf } from "../../base/index.ts";
import { BuiltinError } from "../runtime/index.ts";
import { type Diagnostic, moduleToJson, parseModule } from "../syntax/index.ts";
import type { Type } from "../types/index.ts";
import type { Value } from "../value/index.ts";
import { arg, type Builtin, defineBuiltin, operands, result, types } from "./define.ts";

/** Characters read for one step of the evaluation's budget. */
const CHARACTERS_PER_STEP = 16;

const parseModuleBuiltin = defineBuiltin({
  name: "rego.parse_module",
  category: "rego",
  about: "The syntax tree of a Rego module, as an object.",
  args: [
    arg("filename", operands.string, "file name for the places in messages"),
    arg("rego", operands.string, "text of the module"),
  ],
  result: result("output", types.object(types.string), "the syntax tree"),
  call(context, filename, rego) {
    context.spend(1 + Math.floor(rego.length / CHARACTERS_PER_STEP));
    const { value, diagnostics } = parseModule({ file: filename, text: rego });
    if (value === undefined) throw new BuiltinError(diagnosticsText(diagnostics ?? []));
    return moduleToJson(value);
  },
});

/** OPA's ast.Errors in one text; an empty module is not a list of errors there, but an error alone. */
function diagnosticsText(diagnostics: readonly Diagnostic[]): string {
  const texts = diagnostics.map(({ at, code, message, details = [] }) => {
    const place = at === undefined ? "" : `${placeOf(at)}: `;
    return [`${place}${code}: ${message}`, ...details].join("\n\t");
  });
  const [first = "", second] = texts;
  if (second !== undefined) return `${texts.length} errors occurred:\n${texts.join("\n")}`;
  return diagnostics[0]?.message === "empty module" ? first : `1 error occurred: ${first}`;
}

/** The compiler replaces calls within rules by what the annotations say; only a query can get here. */
function metadata(name: string, about: string, resultName: string, type: Type): Builtin {
  return defineBuiltin({
    name,
    category: "rego",
    about,
    args: [],
    result: result(resultName, type, "annotations in the form of `opa inspect`"),
    call: (): Value => {
      throw new BuiltinError(`the ${name} function must only be called within the scope of a rule`);
    },
  });
}

/** Rego about Rego. @source OPA v1/topdown/parse.go */
export const regoBuiltins: readonly Builtin[] = [
  parseModuleBuiltin,
  metadata(
    "rego.metadata.chain",
    "The annotations that apply to the rule, from its own outward to those of its package and the packages above.",
    "chain",
    types.array(),
  ),
  metadata(
    "rego.metadata.rule",
    "The annotations of scope `rule` that the rule carries; empty if there are none.",
    "output",
    types.any,
  ),
];
