import { cryptoBuiltins } from "./crypto.ts";
import type { Builtin } from "./define.ts";
import { awsBuiltins } from "./providers-aws.ts";
import { portableBuiltins } from "./registry.ts";
import { tokenBuiltins } from "./tokens.ts";
import { tokenSignBuiltins } from "./tokensign.ts";
import { x509Builtins } from "./x509.ts";

/** All builtins: the portable ones and those that need Node (keys, certificates, tokens). One line per category. */
export const nodeBuiltins: readonly Builtin[] = [
  portableBuiltins,
  awsBuiltins,
  cryptoBuiltins,
  tokenBuiltins,
  tokenSignBuiltins,
  x509Builtins,
].flat();
