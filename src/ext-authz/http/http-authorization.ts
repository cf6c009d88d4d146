import type { Call } from "../../decision/index.ts";
import { InputError } from "../errors.ts";
import { RpcError } from "../response.ts";
import type { AuthorizationService } from "../service.ts";
import {
  type AuthorizationCall,
  encodeOriginalRequest,
  type OriginalRequestOptions,
  readOriginalRequest,
} from "./original-request.ts";
import { type HttpReply, type HttpReplyOptions, toHttpReply, UNAVAILABLE } from "./reply.ts";

export interface HttpAuthorizationOptions extends OriginalRequestOptions, HttpReplyOptions {}

/**
 * Authorization over HTTP, for Envoy's HTTP service, Istio's envoyExtAuthzHttp, nginx' auth_request and Traefik's forward
 * auth: another wire in front of the same service, which decides, records and counts as for gRPC.
 */
export class HttpAuthorization {
  readonly #service: AuthorizationService;
  readonly #options: HttpAuthorizationOptions;

  constructor(service: AuthorizationService, options: HttpAuthorizationOptions) {
    this.#service = service;
    this.#options = options;
  }

  /** Never rejects. */
  async check(request: AuthorizationCall, call: Call): Promise<HttpReply> {
    let bytes: Buffer;
    try {
      bytes = encodeOriginalRequest(readOriginalRequest(request, this.#options), Date.now());
    } catch (cause) {
      const message = cause instanceof InputError ? cause.message : "it cannot be read";
      return { status: 400, headers: [], body: `request_parse_error: ${message}` };
    }
    try {
      return toHttpReply(await this.#service.answer(bytes, "v3", call), this.#options);
    } catch (cause) {
      if (cause instanceof RpcError) return UNAVAILABLE;
      throw cause;
    }
  }
}
