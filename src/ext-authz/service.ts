import { whenKnown } from "../base/index.ts";
import type { Account, Call, Decider, Ruled, Ruling } from "../decision/index.ts";
import type { JsonObject, Value } from "../rego/value/index.ts";
import type { Logger } from "../telemetry/index.ts";
import { amend } from "./amend.ts";
import { type Decision, type Fault, fault, toDecision } from "./decision.ts";
import { InputError, WireError } from "./errors.ts";
import { faultRow, type OnError } from "./faults.ts";
import { type InputOptions, toInput } from "./input.ts";
import { ambiguityOf } from "./path-guard.ts";
import { type ApiVersion, readCheckRequest } from "./request.ts";
import { type CheckResponse, type ResponseOptions, toCheckResponse, toLogFailure } from "./response.ts";
import { encodeCheckResponse } from "./wire/encode.ts";

export interface ServiceOptions extends InputOptions {
  readonly onError: OnError;
  readonly dryRun: boolean;
  /** Refuses paths with more than one reading before any policy runs. */
  readonly guardsPaths: boolean;
}

/** What the service reports about each request: the metrics hang on it. */
export interface Observer {
  /** A decision was reached. `seconds` is measured from arrival. */
  decided(verdict: "allow" | "deny", seconds: number): void;
  /** No decision was reached, or it could not be logged. */
  failed(reason: string): void;
  /** Declarative policies or identity had a part in it. */
  accounted?(account: Account, verdict: Decision["verdict"]): void;
}

/** A request with its decision, ready to be answered and recorded. */
interface Judged {
  readonly input: Value;
  readonly decision: Decision;
  readonly account: Account | undefined;
  /** The account, for the decision log. */
  readonly logged: JsonObject | undefined;
}

/** envoy.service.auth.v3.Authorization, and v2's, without a transport: bytes in, bytes out. */
export class AuthorizationService {
  readonly #decider: Decider;
  readonly #options: ServiceOptions;
  readonly #observer: Observer;
  readonly #logger: Logger;

  constructor(decider: Decider, options: ServiceOptions, observer: Observer, logger: Logger) {
    this.#decider = decider;
    this.#options = options;
    this.#observer = observer;
    this.#logger = logger;
  }

  /**
   * Authorization/Check: `answer`, in bytes.
   *
   * @throws {RpcError} when `on_error` asks for it; anything else that is thrown inside is a fault like others.
   */
  async check(bytes: Buffer, api: ApiVersion, call: Call): Promise<Buffer> {
    const answer = this.answer(bytes, api, call);
    return encodeCheckResponse(answer instanceof Promise ? await answer : answer, api);
  }

  /**
   * Every request takes this path and no other: request, input, decision, response, record. Answers at once unless it has to
   * wait for keys or for what a policy asks of others.
   *
   * @throws {RpcError} or rejects with it, when `on_error` asks for it.
   */
  answer(bytes: Buffer, api: ApiVersion, call: Call): CheckResponse | Promise<CheckResponse> {
    const ruling = this.#decider.open(call);
    return whenKnown(this.#rule(ruling, bytes, api), (judged) => this.#respond(ruling, judged));
  }

  #rule(ruling: Ruling, bytes: Buffer, api: ApiVersion): Judged | Promise<Judged> {
    let input: JsonObject;
    let attributes: JsonObject | undefined;
    try {
      const request = readCheckRequest(bytes, api);
      const ambiguity = this.#options.guardsPaths ? ambiguityOf(request.http.path) : undefined;
      if (ambiguity !== undefined)
        return undecided(
          toInputOrNull(() => toInput(request, this.#options)),
          fault("ambiguous_path", `ambiguous path: ${ambiguity}`),
        );
      input = toInput(request, this.#options);
      ({ attributes } = request);
    } catch (cause) {
      return undecided(null, inputFault(cause));
    }
    const failed = (cause: unknown): Judged => undecided(input, internalFault(cause));
    try {
      const judged = whenKnown(ruling.rule({ input, attributes }), toJudged);
      return judged instanceof Promise ? judged.catch(failed) : judged;
    } catch (cause) {
      return failed(cause);
    }
  }

  /** Answers and records, in this order of precedence: a fault's own error, then a log that failed, then the answer. */
  #respond(ruling: Ruling, judged: Judged): CheckResponse {
    const options: ResponseOptions = {
      onError: this.#options.onError,
      dryRun: this.#options.dryRun,
      decisionId: ruling.decisionId,
    };
    this.#observe(ruling, judged);
    const logFault = this.#record(ruling, judged);
    const response = toCheckResponse(judged.decision, options);
    return logFault === undefined ? response : toLogFailure(response, logFault, options);
  }

  #observe(ruling: Ruling, { decision, account }: Judged): void {
    if (account !== undefined) this.#observer.accounted?.(account, decision.verdict);
    if (decision.verdict !== "fault") {
      this.#observer.decided(decision.verdict, ruling.elapsedMs() / 1000);
      return;
    }
    this.#observer.failed(decision.reason ?? faultRow(decision.code).reason);
    if (decision.code === "undefined_decision")
      this.#logger.debug("Undefined decision: no rule gave the configured path a value.", {
        "decision-id": ruling.decisionId,
      });
  }

  #record(ruling: Ruling, { input, decision, logged }: Judged): Fault | undefined {
    try {
      ruling.record({
        input,
        result: decision.verdict === "fault" ? undefined : decision.result,
        error: decision.verdict === "fault" ? decision.logged : undefined,
        account: logged,
      });
      return undefined;
    } catch (cause) {
      this.#observer.failed(faultRow("decision_log_error").reason);
      this.#logger.error("Error when logging event", { err: cause, "decision-id": ruling.decisionId });
      return fault("decision_log_error", cause instanceof Error ? cause.message : String(cause));
    }
  }
}

function toJudged(ruled: Ruled): Judged {
  const { account, input, outcome } = ruled;
  return {
    input,
    decision: amend(toDecision(outcome), ruled),
    account,
    logged: account === undefined ? undefined : toLog(account, outcome),
  };
}

/** Names who decided, and the policy and rule where there is one. */
function toLog({ layer, mesh }: Account, outcome: Ruled["outcome"]): JsonObject {
  return {
    layer,
    ...(mesh !== undefined && { mesh: mesh as unknown as JsonObject }),
    ...(outcome.kind === "refused" && { refusal: { code: outcome.code, reason: outcome.reason } }),
  };
}

/** Nobody was asked. */
function undecided(input: Value, decision: Fault): Judged {
  return { input, decision, account: undefined, logged: undefined };
}

function toInputOrNull(make: () => JsonObject): Value {
  try {
    return make();
  } catch {
    return null;
  }
}

function inputFault(cause: unknown): Fault {
  if (cause instanceof InputError) return fault("request_parse_error", cause.message);
  if (cause instanceof WireError) return fault("malformed_request", cause.message);
  return internalFault(cause);
}

function internalFault(cause: unknown): Fault {
  return fault("internal_error", cause instanceof Error ? cause.message : String(cause));
}
