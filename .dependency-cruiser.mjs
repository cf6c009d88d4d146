// The floor plan. One line per room: the doors (index.ts) it may use. See docs/architecture.md.
const PLAN = {
  base: [],
  telemetry: ["base"],
  jwt: ["base"],
  ratelimit: ["base"],
  schedule: ["base"],
  config: ["base"],
  "rego/value": ["base"],
  "rego/types": ["base", "rego/value"],
  "rego/syntax": ["base", "rego/value"],
  "rego/runtime": ["base", "rego/value"],
  "rego/builtins": ["base", "jwt", "rego/value", "rego/types", "rego/runtime", "rego/syntax"],
  "rego/compile": ["base", "rego/value", "rego/types", "rego/syntax"],
  "rego/codegen": ["base", "rego/value", "rego/types", "rego/syntax", "rego/compile", "rego/runtime"],
  "rego/engine": ["base", "rego/value", "rego/types", "rego/syntax", "rego/runtime", "rego/builtins", "rego/compile", "rego/codegen"],
  istio: ["base", "rego/syntax", "rego/value"],
  identity: ["base", "telemetry", "jwt"],
  policy: ["base", "telemetry", "rego/engine", "rego/node", "rego/value", "istio"],
  "decision-log": ["base", "telemetry", "rego/value"],
  decision: ["base", "telemetry", "rego/value", "rego/engine", "policy", "identity", "ratelimit", "schedule", "decision-log"],
  "ext-authz": ["base", "telemetry", "rego/value", "decision"],
  admin: ["base", "telemetry", "rego/value", "rego/engine", "policy", "decision"],
  server: ["base", "telemetry", "config", "jwt", "identity", "ratelimit", "schedule", "istio", "rego/engine", "rego/value", "policy", "decision", "decision-log", "ext-authz", "admin"],
  cli: ["base", "config", "rego/engine", "rego/node", "rego/value", "rego/syntax", "istio", "policy", "server", "telemetry"],
};

const inside = (room) => `^src/${room}/`;
/** A room's door; `rego/node` is the second door of the Rego house, with the builtins that need Node. */
const door = (room) => (room === "rego/node" ? "^src/rego/node\\.ts$" : `^src/${room}/index\\.ts$`);

export default {
  forbidden: [
    ...Object.entries(PLAN).map(([room, allowed]) => ({
      name: `${room.replace("/", "-")}-keeps-to-plan`,
      severity: "error",
      comment: `${room} may use: ${allowed.join(", ") || "nothing"}. See docs/architecture.md.`,
      from: { path: inside(room) },
      to: { path: "^src/", pathNot: [inside(room), ...allowed.map(door)] },
    })),
    {
      name: "every-file-lives-in-a-room",
      severity: "error",
      from: { path: "^src/", pathNot: [...Object.keys(PLAN).map(inside), "^src/main\\.ts$", "^src/rego/(index|node)\\.ts$", "^src/console/"] },
      to: {},
    },
    { name: "no-cycles", severity: "error", from: {}, to: { circular: true } },
    {
      name: "rego-does-no-io",
      severity: "error",
      comment: "Time, chance and network reach Rego only through BuiltinContext.",
      from: { path: "^src/(rego|istio)/" },
      to: { dependencyTypes: ["core"], path: "^(node:)?(fs|http|https|http2|net|tls|dns|child_process|worker_threads)" },
    },
    { name: "console-is-browser-code", severity: "error", from: { path: "^src/console/" }, to: { path: "^src/(?!console/)", pathNot: ["^src/admin/api-types\\.ts$"] } },
    { name: "src-never-imports-tests", severity: "error", from: { path: "^src/" }, to: { path: "^test/" } },
    { name: "no-dev-dependency-in-src", severity: "error", from: { path: "^src/" }, to: { dependencyTypes: ["npm-dev"] } },
  ],
  options: { tsPreCompilationDeps: true, tsConfig: { fileName: "tsconfig.json" }, doNotFollow: { path: "node_modules" } },
};
