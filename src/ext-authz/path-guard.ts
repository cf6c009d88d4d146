import { isUtf8 } from "node:buffer";

/**
 * Why a path has more than one reading, or undefined. Backends disagree on encoded slashes, dot segments, doubled slashes and
 * the like, and a policy that matched one reading must not let another through.
 */
export function ambiguityOf(target: string): string | undefined {
  const cut = target.indexOf("?");
  const path = cut === -1 ? target : target.slice(0, cut);
  if (path === "*" || path === "") return undefined;
  if (!path.startsWith("/")) return "not in origin form";
  if (path.includes("//")) return "doubled slash";
  if (path.includes("\\")) return "backslash";
  if (path.includes("#")) return "fragment";
  if (/[\u0000-\u0020\u007f]/.test(path)) return "control character or space";
  if (/[^\u0000-\u007f]/.test(path)) return "unencoded character";
  if (path.includes(";")) return "path parameter";
  if (!path.includes("%")) return hasDotSegment(path) ? "dot segment" : undefined;
  return escapedAmbiguity(path);
}

function escapedAmbiguity(path: string): string | undefined {
  if (/%(?![0-9A-Fa-f]{2})/.test(path)) return "malformed escape";
  if (/%(?:2f|5c)/i.test(path)) return "encoded slash";
  if (/%(?:[01][0-9a-f]|7f)/i.test(path)) return "encoded control character";
  if (/%(?:3b|3f)/i.test(path)) return "encoded delimiter";
  const decoded = Buffer.from(
    path.replace(/%([0-9A-Fa-f]{2})/g, (_, hex: string) => String.fromCharCode(Number.parseInt(hex, 16))),
    "latin1",
  );
  if (/%[0-9A-Fa-f]{2}/.test(decoded.toString("latin1"))) return "double encoding";
  if (!isUtf8(decoded)) return "overlong or invalid escape";
  return hasDotSegment(decoded.toString("latin1")) ? "dot segment" : undefined;
}

function hasDotSegment(path: string): boolean {
  return path.split("/").some((segment) => segment === "." || segment === "..");
}
