/** `cardea/rego/node`: every builtin, also those that need Node's cryptography. Pass it to `compile` as `builtins`. */
export { nodeBuiltins } from "./builtins/node-registry.ts";
