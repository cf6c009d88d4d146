import {
  formatModule,
  type Module,
  moduleToJson,
  parseModule,
  ruleRefToText,
  visit,
  walkModule,
} from "../../src/rego/syntax/index.ts";
import { startClock } from "./busy.ts";

/** Longest time a small module may take; a large one may take longer. A hang takes much longer. */
const HANG_MS = 5000;

/**
 * Reads a text as a policy and does all there is to do with the result. Throws where a promise is broken: the
 * parser answers with diagnostics only, and what it accepts can be walked, written and formatted into code that parses.
 */
export function exerciseParser(
  text: string,
  version: "v0" | "v1",
  { deep = false }: { readonly deep?: boolean } = {},
): "accepted" | "refused" {
  const elapsed = startClock();
  const { value, diagnostics } = parseModule({ file: "fuzz.rego", text }, { version, annotations: true });
  if (elapsed() > HANG_MS + text.length / 50) throw new Error("the parser took too long");
  if (diagnostics !== undefined) {
    if (diagnostics.length === 0) throw new Error("refused without a diagnostic");
    for (const { at } of diagnostics) {
      if (at !== undefined && (at.offset < 0 || at.end < at.offset || at.end > text.length + 1)) {
        throw new Error("a diagnostic points outside of the text");
      }
    }
    return "refused";
  }
  try {
    exerciseModule(value, text, version);
  } catch (error) {
    // At the parser's limit the stack may not do for what writes the tree; the commands say so.
    if (!deep || !(error instanceof RangeError)) throw error;
  }
  return "accepted";
}

function exerciseModule(value: Module, text: string, version: "v0" | "v1"): void {
  checkPlaces(value, text);
  moduleToJson(value, { locations: true });
  value.rules.forEach(ruleRefToText);
  const formatted = formatModule(value, { target: version });
  const again = parseModule({ file: "formatted.rego", text: formatted }, { version });
  // Two comments on one line may be joined, but code may neither vanish nor break.
  const broken = again.diagnostics?.[0]?.message;
  // Parentheses that the formatter adds may be one level too many.
  if (broken !== undefined && !broken.startsWith("max parsing recursion depth") && !isKnownToBreak(text, value)) {
    throw new Error(`formatted code does not parse: ${broken}\n${formatted}`);
  }
}

/** References that begin with a keyword, which are read as such only at the start of a literal or rule. */
const KEYWORD_FIRST =
  /(^|[^.\w])(as|default|else|import|not|package|some|with|null|true|false|if|in|every|contains|and|or)[.[]/m;

/**
 * What `opa fmt` breaks, too: constants in the braces of template strings lose their braces, a keyword import between
 * rules is taken to hold for the rules before it, and parentheses are put around what begins with a keyword.
 */
function isKnownToBreak(text: string, { imports, rules }: Module): boolean {
  const firstRule = Math.min(...rules.map(({ at }) => at.offset));
  return /\$["`]/.test(text) || KEYWORD_FIRST.test(text) || imports.some(({ at }) => at.offset > firstRule);
}

function checkPlaces(module: Module, text: string): void {
  walkModule(module, {
    term({ at }) {
      if (at.offset < 0 || at.end < at.offset || at.end > text.length) throw new Error("a term is outside of the text");
      return true;
    },
  });
  for (const { body } of module.rules) {
    visit(body, {
      expr({ index }) {
        if (index < 0) throw new Error("an expression has no position");
        return true;
      },
    });
  }
}
