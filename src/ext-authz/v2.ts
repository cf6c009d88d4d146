import {
  isArray,
  isJsonObject,
  isNumber,
  type JsonObject,
  numberText,
  parseNumber,
  setOwn,
  type Value,
} from "../rego/value/index.ts";
import { objectAt } from "./request.ts";

/**
 * The attributes of an envoy.service.auth.v2 request as the plugin shows them: Go's plain JSON of the generated structs, with
 * snake_case names and oneofs nested under Go's type names. The wire format is v3's, so only the names differ.
 */
export function toV2Attributes(attributes: JsonObject): JsonObject {
  const out: Record<string, Value> = {};
  for (const side of ["source", "destination"]) {
    if (attributes[side] !== undefined) out[side] = peer(objectAt(attributes, side));
  }
  if (attributes["request"] !== undefined) out["request"] = request(objectAt(attributes, "request"));
  if (attributes["contextExtensions"] !== undefined)
    out["context_extensions"] = attributes["contextExtensions"] as Value;
  if (attributes["metadataContext"] !== undefined) {
    const { filterMetadata } = objectAt(attributes, "metadataContext");
    out["metadata_context"] = filterMetadata === undefined ? {} : { filter_metadata: withJsonNumbers(filterMetadata) };
  }
  return out;
}

/** Structs print themselves as JSON here (protojson), which writes doubles as JavaScript does. */
function withJsonNumbers(value: Value): Value {
  if (isNumber(value)) {
    const text = numberText(value);
    return parseNumber(text === "-0" ? text : String(Number(text)));
  }
  if (isArray(value)) return value.map(withJsonNumbers);
  if (!isJsonObject(value)) return value;
  const out: Record<string, Value> = {};
  for (const key of Object.keys(value)) setOwn(out, key, withJsonNumbers(value[key] as Value));
  return out;
}

function peer(v3: JsonObject): JsonObject {
  const out: Record<string, Value> = {};
  if (v3["address"] !== undefined) out["address"] = { Address: address(objectAt(v3, "address")) };
  for (const key of ["service", "labels", "principal", "certificate"])
    if (v3[key] !== undefined) out[key] = v3[key] as Value;
  return out;
}

function address(v3: JsonObject): Value {
  if (v3["pipe"] !== undefined) return { Pipe: v3["pipe"] as Value };
  if (v3["socketAddress"] === undefined) return null;
  const { protocol, address: ip, portValue, namedPort, resolverName, ipv4Compat } = objectAt(v3, "socketAddress");
  const out: Record<string, Value> = {};
  if (protocol !== undefined) out["protocol"] = protocol;
  if (ip !== undefined) out["address"] = ip;
  out["PortSpecifier"] =
    portValue !== undefined ? { PortValue: portValue } : namedPort !== undefined ? { NamedPort: namedPort } : null;
  if (resolverName !== undefined) out["resolver_name"] = resolverName;
  if (ipv4Compat !== undefined) out["ipv4_compat"] = ipv4Compat;
  return { SocketAddress: out };
}

/** `rawBody` and `headerMap` came with v3. */
function request(v3: JsonObject): JsonObject {
  const { time, http } = v3;
  const out: Record<string, Value> = {};
  if (time !== undefined) out["time"] = time;
  if (http === undefined) return out;
  const { rawBody: _rawBody, headerMap: _headerMap, ...rest } = objectAt(v3, "http");
  out["http"] = rest as JsonObject;
  return out;
}
