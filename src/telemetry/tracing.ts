import type { Logger } from "./logger.ts";

/** Spans for a trace collector, by W3C trace-context and B3, as OPA and its plugin make them. */

export type SpanAttributes = Readonly<Record<string, string | number>>;

/** A header of the request, lower-case; undefined where it is absent. */
export type HeaderReader = (name: string) => string | undefined;

/** One operation of a trace. */
export interface Span {
  /** Lower-case hexadecimal digits, as everywhere in OpenTelemetry. */
  readonly traceId: string;
  readonly spanId: string;
  /** Opens a span for a request that goes out on behalf of this one. */
  call(name: string, attributes: SpanAttributes): Span;
  /** Headers that make whoever is called part of the trace. */
  headers(): readonly (readonly [name: string, value: string])[];
  /** @param failure  Why it did not work; empty where there is no text. */
  end(attributes?: SpanAttributes, failure?: string): void;
}

/** Never throws and never waits: what a collector cannot take is dropped. */
export interface Tracing {
  /** Opens a span for a request that came in, in the trace its headers name or else in a new one. */
  receive(name: string, header: HeaderReader, attributes: SpanAttributes): Span;
  /** Delivers what is buffered, as far as that is possible within the time. */
  stop(timeoutMs: number): Promise<void>;
}

export interface TracingOptions {
  /** OTLP over gRPC, or over HTTP with protobuf bodies. */
  readonly protocol: "grpc" | "http";
  /** `host:port` */
  readonly address: string;
  /** Absent for cleartext. */
  readonly tls:
    | {
        /** Authorities; absent for those the platform trusts. */
        readonly ca: Buffer | undefined;
        readonly pair: { readonly cert: Buffer; readonly key: Buffer } | undefined;
        readonly skipsVerification: boolean;
      }
    | undefined;
  /** Share of traces that begin here and are exported, 0 to 1; others follow their parents. */
  readonly sampledShare: number;
  /** What all spans say about this process. */
  readonly resource: Readonly<Record<string, string>>;
  readonly batch: {
    readonly delayMs: number;
    readonly exportTimeoutMs: number;
    readonly spans: number;
    /** Spans that may wait; further ones are dropped. */
    readonly queuedSpans: number;
  };
  readonly logger: Logger;
}
