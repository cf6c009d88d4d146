import { parse } from "yaml";
import { isYamlTooDeep } from "../base/index.ts";
import type { Plain } from "./section.ts";

/** YAML 1.1, as OPA reads its configuration. Loaded only for configurations that are not JSON. */
export function readYaml(text: string): Plain {
  if (isYamlTooDeep(text)) throw new Error("yaml: exceeded max depth");
  return parse(text, { version: "1.1", maxAliasCount: 100 }) as Plain;
}
