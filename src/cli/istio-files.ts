import {
  compileIstio,
  DEFAULT_MESH,
  formatIstioDiagnostic,
  IstioPolicyError,
  type IstioProgram,
  type MeshSettings,
  type PolicyText,
} from "../istio/index.ts";
import { CommandError } from "./command-error.ts";
import { type Flag, type FlagValues, UsageError } from "./flags.ts";

/** What the mesh is like, as far as policies depend on it: `cardea.mesh` of the server's configuration. */
export const MESH_FLAGS: readonly Flag[] = [
  { name: "root-namespace", kind: "string", default: "istio-system", about: "namespace whose policies are for all" },
  { name: "trust-domain", kind: "string", default: "cluster.local", about: "trust domain of the mesh" },
  { name: "trust-domain-alias", kind: "slice", about: "further trust domains of the mesh" },
  { name: "num-trusted-proxies", kind: "int", default: "0", about: "proxies that X-Forwarded-For is trusted from" },
];

export function meshOf(values: FlagValues): MeshSettings {
  const numTrustedProxies = values.int("num-trusted-proxies");
  if (numTrustedProxies < 0) throw new UsageError("--num-trusted-proxies must not be negative");
  return {
    ...DEFAULT_MESH,
    rootNamespace: values.string("root-namespace") ?? DEFAULT_MESH.rootNamespace,
    trustDomain: values.string("trust-domain") ?? DEFAULT_MESH.trustDomain,
    trustDomainAliases: values.list("trust-domain-alias"),
    numTrustedProxies,
  };
}

/** Reads and compiles the policy files at some paths. @throws {CommandError} that lists every error of the files. */
export async function compileIstioPaths(
  paths: readonly string[],
  mesh: MeshSettings,
  ignore: readonly string[] = [],
): Promise<IstioProgram> {
  const { LoadError, loadPaths } = await import("../policy/index.ts");
  try {
    const { declarations } = await loadPaths(paths, { ignore });
    if (declarations.length === 0) throw new CommandError("no Istio or Cardea policies at these paths");
    return compileFiles(declarations, mesh);
  } catch (error) {
    if (error instanceof LoadError) throw new CommandError(error.message, { cause: error });
    throw error;
  }
}

/** Compiles policy files. @throws {CommandError} that lists every error of them. */
export function compileFiles(files: readonly PolicyText[], mesh: MeshSettings = DEFAULT_MESH): IstioProgram {
  try {
    return compileIstio({ files, mesh });
  } catch (error) {
    if (error instanceof IstioPolicyError)
      throw new CommandError(error.diagnostics.map(formatIstioDiagnostic).join("\n"), { cause: error });
    throw error;
  }
}
