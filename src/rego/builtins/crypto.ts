import { createHash, createHmac, timingSafeEqual } from "node:crypto";
import type { BuiltinContext } from "../runtime/index.ts";
import { arg, type Builtin, defineBuiltin, operands, result, types } from "./define.ts";

/** Bytes hashed for one step of the evaluation's budget. */
const BYTES_PER_STEP = 1024;

function spendBytes(context: BuiltinContext, ...texts: readonly string[]): void {
  let length = 0;
  for (const text of texts) length += text.length;
  if (length > BYTES_PER_STEP) context.spend(Math.floor(length / BYTES_PER_STEP));
}

function hash(name: "md5" | "sha1" | "sha256"): Builtin {
  const title = name.toUpperCase();
  return defineBuiltin({
    name: `crypto.${name}`,
    category: "crypto",
    about: `The ${title} digest of a string's UTF-8 bytes, in hexadecimal.`,
    args: [arg("x", operands.string, "input string")],
    result: result("y", types.string, `${title} of \`x\``),
    call(context, x) {
      spendBytes(context, x);
      return createHash(name).update(x, "utf8").digest("hex");
    },
  });
}

function hmac(name: "md5" | "sha1" | "sha256" | "sha512"): Builtin {
  const title = name.toUpperCase();
  return defineBuiltin({
    name: `crypto.hmac.${name}`,
    category: "crypto",
    about: `The ${title} HMAC of a message under a key, in hexadecimal.`,
    args: [arg("x", operands.string, "message"), arg("key", operands.string, "key")],
    result: result("y", types.string, `${title}-HMAC of \`x\``),
    call(context, x, key) {
      spendBytes(context, x, key);
      return createHmac(name, key).update(x, "utf8").digest("hex");
    },
  });
}

const hmacEqual = defineBuiltin({
  name: "crypto.hmac.equal",
  category: "crypto",
  about: "Whether two MACs are equal, compared in constant time.",
  args: [arg("mac1", operands.string, "first MAC"), arg("mac2", operands.string, "second MAC")],
  result: result("result", types.boolean, "`true` if the MACs are equal, else `false`"),
  call(context, mac1, mac2) {
    spendBytes(context, mac1, mac2);
    const [a, b] = [Buffer.from(mac1), Buffer.from(mac2)];
    return a.length === b.length && timingSafeEqual(a, b);
  },
});

/** Digests and message authentication codes. @source OPA v1/topdown/crypto.go */
export const cryptoBuiltins: readonly Builtin[] = [
  hash("md5"),
  hash("sha1"),
  hash("sha256"),
  hmac("md5"),
  hmac("sha1"),
  hmac("sha256"),
  hmac("sha512"),
  hmacEqual,
];
