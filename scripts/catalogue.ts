import { nodeBuiltins } from "../src/rego/builtins/node-registry.ts";
import { portableBuiltins } from "../src/rego/builtins/registry.ts";
import type { Builtin } from "../src/rego/builtins/index.ts";
import { capabilitiesOf } from "../src/rego/engine/index.ts";
import { argsText, typeText } from "../src/rego/types/index.ts";

/** The files that are made from the records of the builtins, by path. */
export function catalogueFiles(): ReadonlyMap<string, string> {
  return new Map([
    ["src/rego/builtins/capabilities.json", `${JSON.stringify(capabilitiesOf(nodeBuiltins), null, 2)}\n`],
    ["docs/builtins.md", builtinsPage(nodeBuiltins)],
  ]);
}

function builtinsPage(builtins: readonly Builtin[]): string {
  const portable = new Set(portableBuiltins.map(({ name }) => name));
  const categories = [...new Set(builtins.map(({ category }) => category))].sort();
  const sections = categories.map((category) => {
    const rows = builtins
      .filter((builtin) => builtin.category === category)
      .sort((a, b) => (a.name < b.name ? -1 : 1))
      .map((builtin) => row(builtin, portable.has(builtin.name)));
    return `## ${category}\n\n| function | arguments and result | what it does |\n| --- | --- | --- |\n${rows.join("\n")}\n`;
  });
  return `# Builtin functions

Made by \`npm run generate\` from the records in \`src/rego/builtins\`; \`npm run generate:check\` fails when it is out of date.
${builtins.length} functions: those of OPA 1.20.2.

*Infix* functions are written as operators. A *relation* may have several results. A *nondeterministic* function may answer
differently each time; within one query its answers stay the same. *Deprecated* functions are refused in v1 policies.
Functions marked *Node* need \`cardea/rego/node\`; all others also run in browsers.

${sections.join("\n")}`;
}

function row(builtin: Builtin, isPortable: boolean): string {
  const flags = [
    builtin.infix === undefined ? "" : `infix \`${cell(builtin.infix)}\``,
    builtin.relation === true ? "relation" : "",
    builtin.nondeterministic === true ? "nondeterministic" : "",
    builtin.deprecated === true ? "deprecated" : "",
    isPortable ? "" : "Node",
  ].filter((flag) => flag !== "");
  const args = argsText(
    builtin.args.map(({ name, operand }) => ({ name, type: operand.type })),
    builtin.variadic,
  );
  const result = builtin.result === undefined ? "" : ` => ${typeText(builtin.result.type)}`;
  const notes = [
    ...builtin.args
      .filter(({ name, about }) => name !== "" && about !== "")
      .map(({ name, about }) => `\`${name}\`: ${about}.`),
    ...(builtin.result?.about === undefined || builtin.result.about === "" ? [] : [`Result: ${builtin.result.about}.`]),
  ];
  const about = [builtin.about, ...notes].join(" ").replaceAll("..", ".");
  return `| \`${builtin.name}\`${flags.length === 0 ? "" : ` (${flags.join(", ")})`} | \`${cell(args + result)}\` | ${cell(about)} |`;
}

/** Table cells end at bars and at line ends. */
function cell(text: string): string {
  return text.replaceAll("|", "\\|").replace(/\s+/g, " ").trim();
}
