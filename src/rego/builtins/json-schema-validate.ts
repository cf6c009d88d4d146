import {
  compareNumbers,
  getKey,
  isArray,
  isNumber,
  isObject,
  type NumberValue,
  numberText,
  type ObjectValue,
  sizeOf,
  sortedKeys,
  toBigInt,
  typeName,
  type Value,
} from "../value/index.ts";
import { type CompiledSchema, comparableText, SchemaError } from "./json-schema-compile.ts";
import { hasFormat } from "./json-schema-formats.ts";

/** One violation, in gojsonschema's words. */
export interface Violation {
  /** Dotted path within the document; `(Root)` for the document itself. */
  readonly field: string;
  readonly type: string;
  readonly description: string;
}

/** Schemas that refer to themselves end where the document ends; this catches those that never descend. */
const MAX_DEPTH = 2000;

/**
 * Validates a document.
 * @param spend is called for each schema a part of the document is held against.
 * @throws {SchemaError} when a reference leads round in circles
 */
export function validateJson(schema: CompiledSchema, document: Value, spend: () => void): readonly Violation[] {
  const outcome = new Outcome();
  new JsonValidator(spend).validate(schema, document, outcome, []);
  return outcome.violations;
}

/** Violations, and how near a schema came to holding: of several alternatives the nearest is reported. */
class Outcome {
  readonly violations: Violation[] = [];
  score = 0;

  get isValid(): boolean {
    return this.violations.length === 0;
  }

  add(path: readonly string[], type: string, description: string): void {
    this.violations.push({ field: fieldOf(path), type, description });
    this.score -= 2;
  }

  merge(other: Outcome): void {
    this.violations.push(...other.violations);
    this.score += other.score;
  }
}

function fieldOf(path: readonly string[]): string {
  return path.length === 0 ? "(Root)" : path.join(".");
}

/** @source OPA internal/gojsonschema/validation.go, keyword order included */
class JsonValidator {
  readonly #spend: () => void;
  #depth = 0;

  constructor(spend: () => void) {
    this.#spend = spend;
  }

  validate(schema: CompiledSchema, node: Value, outcome: Outcome, path: readonly string[]): void {
    this.#spend();
    if (schema.pass !== undefined) {
      if (!schema.pass) outcome.add(path, "false", "False always fails validation");
      return;
    }
    if (++this.#depth > MAX_DEPTH) throw new SchemaError(`validation goes more than ${MAX_DEPTH} levels deep`);
    if (schema.reference !== undefined) this.validate(schema.reference, node, outcome, path);
    else this.#validateKeywords(schema, node, outcome, path);
    this.#depth--;
  }

  #validateKeywords(schema: CompiledSchema, node: Value, outcome: Outcome, path: readonly string[]): void {
    const given = jsonType(node);
    const isWelcome = schema.types.includes(given) || (given === "integer" && schema.types.includes("number"));
    if (schema.types.length > 0 && !isWelcome) {
      const { types } = schema;
      const expected = types.length > 1 ? `[${types.join(",")}]` : (types[0] as string);
      outcome.add(path, "invalid_type", `Invalid type. Expected: ${expected}, given: ${given}`);
      return;
    }
    this.#validateCombinations(schema, node, outcome, path);
    if (isArray(node)) this.#validateArray(schema, node, outcome, path);
    else if (isObject(node)) this.#validateObject(schema, node, outcome, path);
    else if (isNumber(node)) validateNumber(schema, node, outcome, path);
    validateCommon(schema, node, outcome, path);
    if (typeof node === "string") validateString(schema, node, outcome, path);
    if (isObject(node)) {
      for (const [name, property] of schema.properties) {
        const member = getKey(node, name);
        if (member !== undefined) this.validate(property, member, outcome, [...path, name]);
      }
    }
    outcome.score++;
  }

  #try(schema: CompiledSchema, node: Value, path: readonly string[]): Outcome {
    const outcome = new Outcome();
    this.validate(schema, node, outcome, path);
    return outcome;
  }

  #validateCombinations(schema: CompiledSchema, node: Value, outcome: Outcome, path: readonly string[]): void {
    this.#validateAnyOf(schema, node, outcome, path);
    this.#validateOneOf(schema, node, outcome, path);
    if (schema.allOf.length > 0) {
      const attempts = schema.allOf.map((option) => this.#try(option, node, path));
      for (const attempt of attempts) outcome.merge(attempt);
      if (attempts.some(({ isValid }) => !isValid)) {
        outcome.add(path, "number_all_of", "Must validate all the schemas (allOf)");
      }
    }
    if (schema.not !== undefined && this.#try(schema.not, node, path).isValid) {
      outcome.add(path, "number_not", "Must not validate the schema (not)");
    }
    if (isObject(node)) this.#validateDependencies(schema, node, outcome, path);
    this.#validateCondition(schema, node, outcome, path);
    outcome.score++;
  }

  #validateAnyOf(schema: CompiledSchema, node: Value, outcome: Outcome, path: readonly string[]): void {
    let best: Outcome | undefined;
    for (const option of schema.anyOf) {
      const attempt = this.#try(option, node, path);
      if (attempt.isValid) return;
      if (best === undefined || attempt.score > best.score) best = attempt;
    }
    if (best === undefined) return;
    outcome.add(path, "number_any_of", "Must validate at least one schema (anyOf)");
    outcome.merge(best);
  }

  #validateOneOf(schema: CompiledSchema, node: Value, outcome: Outcome, path: readonly string[]): void {
    if (schema.oneOf.length === 0) return;
    let matches = 0;
    let best: Outcome | undefined;
    for (const option of schema.oneOf) {
      const attempt = this.#try(option, node, path);
      if (attempt.isValid) matches++;
      else if (matches === 0 && (best === undefined || attempt.score > best.score)) best = attempt;
    }
    if (matches === 1) return;
    outcome.add(path, "number_one_of", "Must validate one and only one schema (oneOf)");
    if (matches === 0 && best !== undefined) outcome.merge(best);
  }

  #validateDependencies(schema: CompiledSchema, node: ObjectValue, outcome: Outcome, path: readonly string[]): void {
    for (const [name, dependency] of schema.dependencies) {
      if (getKey(node, name) === undefined) continue;
      if (!Array.isArray(dependency)) {
        this.validate(dependency as CompiledSchema, node, outcome, path);
        continue;
      }
      for (const needed of dependency as readonly string[]) {
        if (getKey(node, needed) === undefined) {
          outcome.add(path, "missing_dependency", `Has a dependency on ${needed}`);
        }
      }
    }
  }

  #validateCondition(schema: CompiledSchema, node: Value, outcome: Outcome, path: readonly string[]): void {
    if (schema.if === undefined) return;
    const holds = this.#try(schema.if, node, path).isValid;
    const branch = holds ? schema.then : schema.else;
    if (branch === undefined) return;
    const attempt = this.#try(branch, node, path);
    if (attempt.isValid) return;
    if (holds) outcome.add(path, "condition_then", 'Must validate "then" as "if" was valid');
    else outcome.add(path, "condition_else", 'Must validate "else" as "if" was not valid');
    outcome.merge(attempt);
  }

  #validateArray(schema: CompiledSchema, node: readonly Value[], outcome: Outcome, path: readonly string[]): void {
    const { items, additionalItems } = schema;
    const one = (option: CompiledSchema, i: number) => {
      outcome.merge(this.#try(option, node[i] as Value, [...path, String(i)]));
    };
    if (Array.isArray(items)) {
      const tuple = items as readonly CompiledSchema[];
      for (let i = 0; i < Math.min(tuple.length, node.length); i++) one(tuple[i] as CompiledSchema, i);
      if (tuple.length > 0 && tuple.length < node.length) {
        if (additionalItems === false) {
          outcome.add(path, "array_no_additional_items", "No additional items allowed on array");
        } else if (typeof additionalItems === "object") {
          for (let i = tuple.length; i < node.length; i++) one(additionalItems, i);
        }
      }
    } else if (items !== undefined) {
      for (let i = 0; i < node.length; i++) one(items as CompiledSchema, i);
    }
    if (schema.minItems !== undefined && node.length < schema.minItems) {
      outcome.add(path, "array_min_items", `Array must have at least ${schema.minItems} items`);
    }
    if (schema.maxItems !== undefined && node.length > schema.maxItems) {
      outcome.add(path, "array_max_items", `Array must have at most ${schema.maxItems} items`);
    }
    if (schema.uniqueItems === true) validateUnique(node, outcome, path);
    if (schema.contains !== undefined) this.#validateContains(schema.contains, node, outcome, path);
    outcome.score++;
  }

  #validateContains(wanted: CompiledSchema, node: readonly Value[], outcome: Outcome, path: readonly string[]): void {
    let best: Outcome | undefined;
    for (let i = 0; i < node.length; i++) {
      const attempt = this.#try(wanted, node[i] as Value, [...path, String(i)]);
      if (attempt.isValid) return;
      if (best === undefined || attempt.score > best.score) best = attempt;
    }
    outcome.add(path, "contains", "At least one of the items must match");
    if (best !== undefined) outcome.merge(best);
  }

  #validateObject(schema: CompiledSchema, node: ObjectValue, outcome: Outcome, path: readonly string[]): void {
    const size = sizeOf(node);
    if (schema.minProperties !== undefined && size < schema.minProperties) {
      outcome.add(path, "array_min_properties", `Must have at least ${schema.minProperties} properties`);
    }
    if (schema.maxProperties !== undefined && size > schema.maxProperties) {
      outcome.add(path, "array_max_properties", `Must have at most ${schema.maxProperties} properties`);
    }
    for (const name of schema.required) {
      if (getKey(node, name) === undefined) outcome.add(path, "required", `${name} is required`);
      else outcome.score++;
    }
    const names = sortedKeys(node).map(String);
    for (const name of names) this.#validateMember(schema, node, name, outcome, path);
    if (schema.propertyNames !== undefined) {
      for (const name of names) {
        const attempt = this.#try(schema.propertyNames, name, path);
        if (attempt.isValid) continue;
        outcome.add(path, "invalid_property_name", `Property name of "${name}" does not match`);
        outcome.merge(attempt);
      }
    }
    outcome.score++;
  }

  /** Pattern properties, and additional properties where neither they nor `properties` speak of the member. */
  #validateMember(
    schema: CompiledSchema,
    node: ObjectValue,
    name: string,
    outcome: Outcome,
    path: readonly string[],
  ): void {
    const member = getKey(node, name) as Value;
    const matching = schema.patternProperties.filter(({ regex }) => regex.test(name));
    for (const { schema: option } of matching) outcome.merge(this.#try(option, member, [...path, name]));
    if (matching.length > 0) {
      outcome.score++;
      return;
    }
    if (schema.properties.has(name)) return;
    const additional = schema.additionalProperties;
    if (additional === false) {
      outcome.add(path, "additional_property_not_allowed", `Additional property ${name} is not allowed`);
    } else if (typeof additional === "object") outcome.merge(this.#try(additional, member, [...path, name]));
  }
}

function jsonType(node: Value): string {
  const type = typeName(node);
  return type === "number" && toBigInt(node as NumberValue) !== undefined ? "integer" : type;
}

function validateUnique(node: readonly Value[], outcome: Outcome, path: readonly string[]): void {
  const seen = new Map<string, number>();
  for (let j = 0; j < node.length; j++) {
    const text = comparableText(node[j] as Value);
    const i = seen.get(text);
    if (i !== undefined) outcome.add(path, "unique", `array items[${i},${j}] must be unique`);
    seen.set(text, j);
  }
}

function validateCommon(schema: CompiledSchema, node: Value, outcome: Outcome, path: readonly string[]): void {
  const { constant, enumeration, format } = schema;
  const field = fieldOf(path);
  if (constant !== undefined && comparableText(node) !== constant) {
    outcome.add(path, "const", `${field} does not match: ${constant}`);
  }
  if (enumeration !== undefined && !enumeration.includes(comparableText(node))) {
    outcome.add(path, "enum", `${field} must be one of the following: ${enumeration.join(", ")}`);
  }
  if (format !== undefined && typeof node === "string" && !hasFormat(format, node)) {
    outcome.add(path, "format", `Does not match format '${format}'`);
  }
  outcome.score++;
}

function validateString(schema: CompiledSchema, node: string, outcome: Outcome, path: readonly string[]): void {
  const { minLength, maxLength, pattern } = schema;
  if (minLength !== undefined || maxLength !== undefined) {
    let length = 0;
    for (const _ of node) length++;
    if (minLength !== undefined && length < minLength) {
      outcome.add(path, "string_gte", `String length must be greater than or equal to ${minLength}`);
    }
    if (maxLength !== undefined && length > maxLength) {
      outcome.add(path, "string_lte", `String length must be less than or equal to ${maxLength}`);
    }
  }
  if (pattern !== undefined && !pattern.regex.test(node)) {
    outcome.add(path, "pattern", `Does not match pattern '${pattern.text}'`);
  }
  outcome.score++;
}

function validateNumber(schema: CompiledSchema, node: NumberValue, outcome: Outcome, path: readonly string[]): void {
  const { multipleOf, maximum, exclusiveMaximum, minimum, exclusiveMinimum } = schema;
  if (multipleOf !== undefined && !isMultiple(node, multipleOf)) {
    outcome.add(path, "multiple_of", `Must be a multiple of ${boundText(multipleOf)}`);
  }
  if (maximum !== undefined && compareNumbers(node, maximum) > 0) {
    outcome.add(path, "number_lte", `Must be less than or equal to ${boundText(maximum)}`);
  }
  if (exclusiveMaximum !== undefined && compareNumbers(node, exclusiveMaximum) >= 0) {
    outcome.add(path, "number_lt", `Must be less than ${boundText(exclusiveMaximum)}`);
  }
  if (minimum !== undefined && compareNumbers(node, minimum) < 0) {
    outcome.add(path, "number_gte", `Must be greater than or equal to ${boundText(minimum)}`);
  }
  if (exclusiveMinimum !== undefined && compareNumbers(node, exclusiveMinimum) <= 0) {
    outcome.add(path, "number_gt", `Must be greater than ${boundText(exclusiveMinimum)}`);
  }
  outcome.score++;
}

/** `digits * 10^exponent`, exactly; digits without trailing zeros. */
function decimal(value: NumberValue): { readonly digits: bigint; readonly exponent: number } {
  const [mantissa, power = "0"] = numberText(value).toLowerCase().split("e") as [string, string?];
  const [whole, fraction = ""] = mantissa.split(".") as [string, string?];
  const text = (whole + fraction).replace(/0+$/, "");
  if (text === "" || text === "-") return { digits: 0n, exponent: 0 };
  const stripped = whole.length + fraction.length - text.length;
  return { digits: BigInt(text), exponent: Number(power) - fraction.length + stripped };
}

function isMultiple(value: NumberValue, of: NumberValue): boolean {
  const [a, b] = [decimal(value), decimal(of)];
  if (a.digits === 0n) return true;
  const shift = a.exponent - b.exponent;
  // More zeros than the digits can cancel: what is left is a fraction.
  if (shift < 0 && -shift > a.digits.toString().length) return false;
  if (shift < 0) return a.digits % (b.digits * 10n ** BigInt(-shift)) === 0n;
  return (a.digits * powerModulo(shift, b.digits)) % b.digits === 0n;
}

/** `10^exponent mod modulus`, in time logarithmic in the exponent. */
function powerModulo(exponent: number, modulus: bigint): bigint {
  let result = 1n;
  let base = 10n % modulus;
  for (let left = exponent; left > 0; left = Math.floor(left / 2)) {
    if (left % 2 === 1) result = (result * base) % modulus;
    base = (base * base) % modulus;
  }
  return result;
}

/** A number as Go's %v prints a big.Float: exponents below -4 and from 6 on. */
function boundText(value: NumberValue): string {
  const { digits, exponent } = decimal(value);
  const text = String(digits < 0n ? -digits : digits);
  const sign = digits < 0n ? "-" : "";
  const scale = exponent + text.length - 1;
  if (digits === 0n) return "0";
  if (scale < -4 || scale >= 6) return sign + scientific(text, scale);
  if (exponent >= 0) return sign + text + "0".repeat(exponent);
  if (scale >= 0) return `${sign}${text.slice(0, scale + 1)}.${text.slice(scale + 1)}`;
  return `${sign}0.${"0".repeat(-scale - 1)}${text}`;
}

function scientific(digits: string, scale: number): string {
  const fraction = digits.length > 1 ? `.${digits.slice(1)}` : "";
  return `${digits[0]}${fraction}e${scale < 0 ? "-" : "+"}${String(Math.abs(scale)).padStart(2, "0")}`;
}
