import { join } from "node:path";
import type { Server, ServerDuplexStream, ServiceDefinition } from "@grpc/grpc-js";
import protobuf from "protobufjs";
import descriptor from "protobufjs/ext/descriptor.js";
import { packageRoot } from "./package-root.ts";

const PROTO_FILES = [
  "envoy/service/auth/v3/external_auth.proto",
  "envoy/service/auth/v2/external_auth.proto",
  "grpc/health/v1/health.proto",
  "grpc/reflection/v1/reflection.proto",
  "grpc/reflection/v1alpha/reflection.proto",
];
/** grpc.status.NOT_FOUND and UNIMPLEMENTED, as error codes of the protocol. */
const NOT_FOUND = 5;
const UNIMPLEMENTED = 12;

interface ReflectionRequest {
  readonly file_by_filename?: string;
  readonly file_containing_symbol?: string;
  readonly list_services?: string;
}

/** Adds grpc.reflection v1 and v1alpha, which describe the services from the files in `proto/`. */
export function addReflection(server: Server): void {
  const root = loadProtos();
  const catalogue = new Catalogue(root);
  for (const version of ["v1", "v1alpha"]) {
    const name = `grpc.reflection.${version}`;
    const requestType = root.lookupType(`${name}.ServerReflectionRequest`);
    const responseType = root.lookupType(`${name}.ServerReflectionResponse`);
    server.addService(streamDefinition(`/${name}.ServerReflection/ServerReflectionInfo`), {
      ServerReflectionInfo: (stream: ServerDuplexStream<Buffer, Buffer>) => {
        stream.on("data", (bytes: Buffer) => {
          const request = requestType.decode(bytes);
          const answer = catalogue.answer(requestType.toObject(request, { oneofs: false }) as ReflectionRequest);
          stream.write(
            Buffer.from(
              responseType.encode(responseType.fromObject({ ...answer, original_request: request })).finish(),
            ),
          );
        });
        stream.on("end", () => stream.end());
      },
    });
  }
}

function loadProtos(): protobuf.Root {
  const root = new protobuf.Root();
  const directory = join(packageRoot(), "proto");
  root.resolvePath = (_origin, target) => (target.startsWith("google/protobuf/") ? target : join(directory, target));
  root.loadSync(PROTO_FILES, { keepCase: true }).resolveAll();
  return root;
}

/** Files by name and by symbol. */
class Catalogue {
  readonly #services: readonly string[];
  readonly #files = new Map<string, Buffer>();
  /** File by the name of each package in it. */
  readonly #packages = new Map<string, string>();

  constructor(root: protobuf.Root) {
    const set = (root as unknown as { toDescriptor(edition: string): protobuf.Message }).toDescriptor(
      "proto3",
    ) as unknown as DescriptorSet;
    const names = set.file.map(({ name }) => name);
    for (const file of set.file) {
      qualify(root, file);
      // One file per package, each importing all others it could need: the loader keeps no record of the real ones.
      file.dependency = dependenciesOf(file, set.file, names);
      this.#files.set(file.name, Buffer.from(descriptor.FileDescriptorProto.encode(file as never).finish()));
      this.#packages.set(file.package, file.name);
    }
    this.#services = set.file.flatMap((file) => file.service.map(({ name }) => `${file.package}.${name}`)).sort();
  }

  answer(request: ReflectionRequest): Record<string, unknown> {
    if (request.list_services !== undefined)
      return { list_services_response: { service: this.#services.map((name) => ({ name })) } };
    if (request.file_by_filename !== undefined) return this.#file(request.file_by_filename);
    if (request.file_containing_symbol !== undefined) return this.#symbol(request.file_containing_symbol);
    return { error_response: { error_code: UNIMPLEMENTED, error_message: "extensions are not used here" } };
  }

  #symbol(symbol: string): Record<string, unknown> {
    for (let name = symbol; name !== ""; name = name.slice(0, Math.max(0, name.lastIndexOf(".")))) {
      const file = this.#packages.get(name);
      if (file !== undefined) return this.#file(file);
    }
    return { error_response: { error_code: NOT_FOUND, error_message: `symbol not found: ${symbol}` } };
  }

  #file(name: string): Record<string, unknown> {
    const bytes = this.#files.get(name);
    if (bytes === undefined)
      return { error_response: { error_code: NOT_FOUND, error_message: `file not found: ${name}` } };
    return { file_descriptor_response: { file_descriptor_proto: [bytes] } };
  }
}

interface DescriptorSet {
  readonly file: FileDescriptor[];
}

interface FileDescriptor {
  readonly name: string;
  readonly package: string;
  dependency: string[];
  readonly messageType: MessageDescriptor[];
  readonly service: { readonly name: string; readonly method: { inputType: string; outputType: string }[] }[];
}

interface MessageDescriptor {
  name: string;
  readonly options?: { readonly mapEntry?: boolean } | null;
  readonly field: { typeName?: string }[];
  readonly nestedType: MessageDescriptor[];
}

/**
 * The library writes type names relative to their scope; the protocol wants them whole, with a leading dot. Entries of map
 * fields exist in descriptors only; `a_b`'s must be called `ABEntry`.
 */
function qualify(root: protobuf.Root, file: FileDescriptor): void {
  const visit = (message: MessageDescriptor, scope: string): void => {
    const path = `${scope}.${message.name}`;
    const entries = new Map<string, string>();
    for (const nested of message.nestedType) {
      if (nested.options?.mapEntry === true)
        entries.set(nested.name, `${nested.name.replace(/_(\w)/g, (_, letter: string) => letter.toUpperCase())}Entry`);
    }
    for (const field of message.field) {
      if (field.typeName === undefined || field.typeName === "") continue;
      const entry = entries.get(field.typeName);
      field.typeName = entry === undefined ? resolve(root, path, field.typeName) : `.${path}.${entry}`;
    }
    for (const nested of message.nestedType) {
      visit(nested, path);
      nested.name = entries.get(nested.name) ?? nested.name;
    }
  };
  for (const message of file.messageType) visit(message, file.package);
  for (const service of file.service) {
    for (const method of service.method) {
      method.inputType = resolve(root, `${file.package}.${service.name}`, method.inputType);
      method.outputType = resolve(root, `${file.package}.${service.name}`, method.outputType);
    }
  }
}

/** The innermost scope that knows the name wins, as in .proto files. */
function resolve(root: protobuf.Root, scope: string, name: string): string {
  for (let path = scope; ; path = path.slice(0, Math.max(0, path.lastIndexOf(".")))) {
    const found = root.lookup(path === "" ? name : `${path}.${name}`);
    if (found instanceof protobuf.Type || found instanceof protobuf.Enum) return found.fullName;
    if (path === "") return `.${name}`;
  }
}

function dependenciesOf(file: FileDescriptor, files: readonly FileDescriptor[], names: readonly string[]): string[] {
  const used = new Set<string>();
  const note = (typeName: string | undefined): void => {
    if (typeName === undefined || !typeName.startsWith(".")) return;
    const owner = files
      .filter((other) => typeName.startsWith(`.${other.package}.`))
      .sort((a, b) => b.package.length - a.package.length)[0];
    if (owner !== undefined && owner !== file) used.add(owner.name);
  };
  const visit = (message: MessageDescriptor): void => {
    for (const { typeName } of message.field) note(typeName);
    message.nestedType.forEach(visit);
  };
  file.messageType.forEach(visit);
  for (const { method } of file.service) {
    for (const { inputType, outputType } of method) {
      note(inputType);
      note(outputType);
    }
  }
  return names.filter((name) => used.has(name));
}

function streamDefinition(path: string): ServiceDefinition {
  const identity = (bytes: Buffer): Buffer => bytes;
  return {
    ServerReflectionInfo: {
      path,
      requestStream: true,
      responseStream: true,
      requestSerialize: identity,
      requestDeserialize: identity,
      responseSerialize: identity,
      responseDeserialize: identity,
    },
  };
}
