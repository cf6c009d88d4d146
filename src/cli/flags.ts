/** The command line was wrong. Exit code 1, with the usage of the command, as OPA does. */
export class UsageError extends Error {
  override readonly name = "UsageError";
}

export interface Flag {
  readonly name: string;
  readonly short?: string;
  /** `list`: repeat the flag; `slice`: also commas; `enum`: one of `values`; `duration`: Go's form, kept in milliseconds. */
  readonly kind: "bool" | "string" | "list" | "slice" | "int" | "enum" | "duration";
  readonly values?: readonly string[];
  readonly default?: string;
  readonly about: string;
  /** Accepted but not shown. */
  readonly hidden?: boolean;
}

/** Values by the flag's name. */
export class FlagValues {
  readonly #values: ReadonlyMap<string, readonly string[]>;
  readonly #flags: ReadonlyMap<string, Flag>;
  readonly positional: readonly string[];

  constructor(
    flags: ReadonlyMap<string, Flag>,
    values: ReadonlyMap<string, readonly string[]>,
    positional: readonly string[],
  ) {
    this.#flags = flags;
    this.#values = values;
    this.positional = positional;
  }

  isSet(name: string): boolean {
    return this.#values.has(name);
  }

  bool(name: string): boolean {
    return (this.string(name) ?? "false") === "true";
  }

  /** The last value given, or the default. */
  string(name: string): string | undefined {
    return this.#values.get(name)?.at(-1) ?? this.#flags.get(name)?.default;
  }

  list(name: string): readonly string[] {
    const given = this.#values.get(name);
    if (given !== undefined) return given;
    const preset = this.#flags.get(name)?.default;
    return preset === undefined || preset === "" ? [] : preset.split(",");
  }

  int(name: string): number {
    return Number(this.string(name) ?? "0");
  }

  /** Milliseconds; undefined when neither given nor preset. */
  duration(name: string): number | undefined {
    const text = this.string(name);
    return text === undefined ? undefined : parseDuration(text);
  }
}

const TRUE = new Set(["1", "t", "T", "TRUE", "true", "True"]);
const FALSE = new Set(["0", "f", "F", "FALSE", "false", "False"]);

/** Reads flags as Go's pflag does: `--flag value`, `--flag=value`, `-f value`, `-fvalue`, `-abc`; `--` ends them. @throws {UsageError} */
export function parseFlags(flags: readonly Flag[], argv: readonly string[]): FlagValues {
  return new FlagReader(flags).read(argv);
}

class FlagReader {
  readonly #byName: ReadonlyMap<string, Flag>;
  readonly #byShort: ReadonlyMap<string, Flag>;
  readonly #values = new Map<string, string[]>();

  constructor(flags: readonly Flag[]) {
    this.#byName = new Map(flags.map((flag) => [flag.name, flag]));
    this.#byShort = new Map(flags.flatMap((flag) => (flag.short === undefined ? [] : [[flag.short, flag] as const])));
  }

  read(argv: readonly string[]): FlagValues {
    const positional: string[] = [];
    const rest = [...argv];
    for (let argument = rest.shift(); argument !== undefined; argument = rest.shift()) {
      if (argument === "--") {
        positional.push(...rest.splice(0));
      } else if (argument.startsWith("--")) this.#readLong(argument.slice(2), rest);
      else if (argument.startsWith("-") && argument.length > 1) this.#readShort(argument.slice(1), rest);
      else positional.push(argument);
    }
    return new FlagValues(this.#byName, this.#values, positional);
  }

  #readLong(text: string, rest: string[]): void {
    const equals = text.indexOf("=");
    const name = equals === -1 ? text : text.slice(0, equals);
    const flag = this.#byName.get(name);
    if (flag === undefined) throw new UsageError(`unknown flag: --${name}`);
    if (equals !== -1) this.#set(flag, text.slice(equals + 1));
    else if (flag.kind === "bool") this.#set(flag, "true");
    else {
      const value = rest.shift();
      if (value === undefined) throw new UsageError(`flag needs an argument: --${name}`);
      this.#set(flag, value);
    }
  }

  #readShort(text: string, rest: string[]): void {
    for (let i = 0; i < text.length; i++) {
      const letter = text[i] as string;
      const flag = this.#byShort.get(letter);
      if (flag === undefined) throw new UsageError(`unknown shorthand flag: '${letter}' in -${text}`);
      const tail = text.slice(i + 1);
      if (flag.kind === "bool" && !tail.startsWith("=")) {
        this.#set(flag, "true");
        continue;
      }
      const value = tail === "" ? rest.shift() : tail.replace(/^=/, "");
      if (value === undefined) throw new UsageError(`flag needs an argument: '${letter}' in -${text}`);
      this.#set(flag, value);
      return;
    }
  }

  #set(flag: Flag, text: string): void {
    const refuse = (why: string): never => {
      const shown = flag.short === undefined ? `--${flag.name}` : `-${flag.short}, --${flag.name}`;
      throw new UsageError(`invalid argument ${JSON.stringify(text)} for "${shown}" flag: ${why}`);
    };
    let values = [text];
    switch (flag.kind) {
      case "bool":
        if (!TRUE.has(text) && !FALSE.has(text))
          refuse(`strconv.ParseBool: parsing ${JSON.stringify(text)}: invalid syntax`);
        values = [String(TRUE.has(text))];
        break;
      case "int":
        if (!/^[+-]?\d+$/.test(text)) refuse(`strconv.ParseInt: parsing ${JSON.stringify(text)}: invalid syntax`);
        break;
      case "enum":
        if (flag.values?.includes(text) !== true) refuse(`must be one of {${flag.values?.join(",") ?? ""}}`);
        break;
      case "duration":
        if (parseDuration(text) === undefined) refuse(`time: invalid duration ${JSON.stringify(text)}`);
        break;
      case "slice":
        values = text === "" ? [] : text.split(",");
        break;
      case "list":
      case "string":
        break;
    }
    const given = this.#values.get(flag.name);
    if (given === undefined || (flag.kind !== "list" && flag.kind !== "slice")) this.#values.set(flag.name, values);
    else given.push(...values);
  }
}

const UNIT_MS: Readonly<Record<string, number>> = {
  ns: 1e-6,
  us: 1e-3,
  µs: 1e-3,
  ms: 1,
  s: 1000,
  m: 60_000,
  h: 3_600_000,
};

/** A duration in Go's form (`1h30m`, `250ms`, `0`) in milliseconds; undefined when it is none. */
export function parseDuration(text: string): number | undefined {
  if (/^[+-]?0$/.test(text)) return 0;
  const match = /^([+-]?)((?:(?:\d+(?:\.\d*)?|\.\d+)(?:ns|us|µs|ms|s|m|h))+)$/.exec(text);
  if (match === null) return undefined;
  let total = 0;
  for (const [, amount, unit] of (match[2] as string).matchAll(/([\d.]+)(ns|us|µs|ms|s|m|h)/g)) {
    total += Number(amount) * (UNIT_MS[unit as string] as number);
  }
  return match[1] === "-" ? -total : total;
}

const KIND_NAMES = { string: "string", list: "string", slice: "strings", int: "int", duration: "duration" } as const;

/** The `Flags:` part of a command's usage. */
export function flagsText(flags: readonly Flag[]): string {
  const rows = flags
    .filter(({ hidden }) => hidden !== true)
    .toSorted((a, b) => (a.name < b.name ? -1 : 1))
    .map((flag) => {
      const kind =
        flag.kind === "bool"
          ? ""
          : flag.kind === "enum"
            ? ` {${flag.values?.join(",") ?? ""}}`
            : ` ${KIND_NAMES[flag.kind]}`;
      const preset = flag.default === undefined || flag.default === "" ? "" : ` (default ${flag.default})`;
      return [
        `  ${flag.short === undefined ? "   " : `-${flag.short},`} --${flag.name}${kind}`,
        `${flag.about}${preset}`,
      ] as const;
    });
  const width = Math.max(0, ...rows.map(([left]) => left.length));
  return rows.map(([left, right]) => `${left.padEnd(width)}   ${right}\n`).join("");
}
