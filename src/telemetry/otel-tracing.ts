import { createRequire } from "node:module";
import type { ChannelCredentials } from "@grpc/grpc-js";
import {
  type Context,
  diag,
  DiagLogLevel,
  ROOT_CONTEXT,
  type Span as OtelSpan,
  SpanKind,
  SpanStatusCode,
  type TextMapPropagator,
  trace,
  type Tracer,
} from "@opentelemetry/api";
import {
  CompositePropagator,
  setGlobalErrorHandler,
  W3CBaggagePropagator,
  W3CTraceContextPropagator,
} from "@opentelemetry/core";
import { B3InjectEncoding, B3Propagator } from "@opentelemetry/propagator-b3";
import { resourceFromAttributes } from "@opentelemetry/resources";
import {
  BatchSpanProcessor,
  ParentBasedSampler,
  type SpanExporter,
  TraceIdRatioBasedSampler,
  TracerProvider,
} from "@opentelemetry/sdk-trace";
import type { Logger } from "./logger.ts";
import type { HeaderReader, Span, SpanAttributes, Tracing, TracingOptions } from "./tracing.ts";

/** B3 comes last, so that it counts where a request has both; both its forms are written, as in the plugin. */
const PROPAGATOR: TextMapPropagator = new CompositePropagator({
  propagators: [
    new W3CTraceContextPropagator(),
    new W3CBaggagePropagator(),
    new B3Propagator({ injectEncoding: B3InjectEncoding.MULTI_HEADER }),
    new B3Propagator({ injectEncoding: B3InjectEncoding.SINGLE_HEADER }),
  ],
});

const HEADERS = {
  get: (header: HeaderReader, name: string): string | undefined => header(name.toLowerCase()),
  keys: (): string[] => [],
};

/** Tracing by the OpenTelemetry SDK. Nothing of it is global but where it reports its own troubles. */
export class OtelTracing implements Tracing {
  readonly #tracer: Tracer;
  readonly #provider: TracerProvider;
  readonly #logger: Logger;

  private constructor(provider: TracerProvider, logger: Logger) {
    this.#provider = provider;
    this.#tracer = provider.getTracer("cardea");
    this.#logger = logger;
  }

  static async open(options: TracingOptions): Promise<OtelTracing> {
    const { logger, batch, resource, sampledShare } = options;
    reportTo(logger);
    const provider = new TracerProvider({
      resource: resourceFromAttributes(resource),
      sampler: new ParentBasedSampler({ root: new TraceIdRatioBasedSampler(sampledShare) }),
      spanProcessors: [
        new BatchSpanProcessor({
          exporter: await makeExporter(options),
          scheduledDelayMillis: batch.delayMs,
          exportTimeoutMillis: batch.exportTimeoutMs,
          maxExportBatchSize: batch.spans,
          maxQueueSize: batch.queuedSpans,
        }),
      ],
    });
    return new OtelTracing(provider, logger);
  }

  receive(name: string, header: HeaderReader, attributes: SpanAttributes): Span {
    const parent = PROPAGATOR.extract(ROOT_CONTEXT, header, HEADERS);
    const span = this.#tracer.startSpan(name, { kind: SpanKind.SERVER, attributes: { ...attributes } }, parent);
    return new OpenSpan(this.#tracer, span, trace.setSpan(parent, span));
  }

  async stop(timeoutMs: number): Promise<void> {
    let timer: NodeJS.Timeout | undefined;
    const timeout = new Promise<void>((resolve) => {
      timer = setTimeout(resolve, timeoutMs);
    });
    const delivered = this.#provider.shutdown().catch((cause: unknown) => {
      this.#logger.warning("Distributed tracing: the last spans could not be delivered.", { err: cause });
    });
    await Promise.race([delivered, timeout]);
    clearTimeout(timer);
  }
}

class OpenSpan implements Span {
  readonly traceId: string;
  readonly spanId: string;
  readonly #tracer: Tracer;
  readonly #span: OtelSpan;
  readonly #context: Context;

  constructor(tracer: Tracer, span: OtelSpan, context: Context) {
    const { traceId, spanId } = span.spanContext();
    this.traceId = traceId;
    this.spanId = spanId;
    this.#tracer = tracer;
    this.#span = span;
    this.#context = context;
  }

  call(name: string, attributes: SpanAttributes): Span {
    const span = this.#tracer.startSpan(name, { kind: SpanKind.CLIENT, attributes: { ...attributes } }, this.#context);
    return new OpenSpan(this.#tracer, span, trace.setSpan(this.#context, span));
  }

  headers(): readonly (readonly [string, string])[] {
    const headers: (readonly [string, string])[] = [];
    PROPAGATOR.inject(this.#context, headers, { set: (list, name, value) => list.push([name, value]) });
    return headers;
  }

  end(attributes?: SpanAttributes, failure?: string): void {
    if (attributes !== undefined) this.#span.setAttributes({ ...attributes });
    if (failure !== undefined)
      this.#span.setStatus({ code: SpanStatusCode.ERROR, ...(failure !== "" && { message: failure }) });
    this.#span.end();
  }
}

/** Each protocol's package is loaded only where it is configured. */
async function makeExporter({ protocol, address, tls, batch }: TracingOptions): Promise<SpanExporter> {
  const timeoutMillis = batch.exportTimeoutMs;
  if (protocol === "http") {
    const { OTLPTraceExporter } = await import("@opentelemetry/exporter-trace-otlp-proto");
    return new OTLPTraceExporter({
      url: `${tls === undefined ? "http" : "https"}://${address}/v1/traces`,
      timeoutMillis,
      ...(tls !== undefined && {
        httpAgentOptions: {
          keepAlive: true,
          rejectUnauthorized: !tls.skipsVerification,
          ...(tls.ca !== undefined && { ca: tls.ca }),
          ...tls.pair,
        },
      }),
    });
  }
  const { OTLPTraceExporter } = await import("@opentelemetry/exporter-trace-otlp-grpc");
  return new OTLPTraceExporter({
    url: `${tls === undefined ? "http" : "https"}://${address}`,
    timeoutMillis,
    ...(tls !== undefined && { credentials: channelCredentials(tls) }),
  });
}

/** Made by the exporter's own copy of the library, which takes none of another; a bundled program has two. */
function channelCredentials({ ca, pair, skipsVerification }: NonNullable<TracingOptions["tls"]>): ChannelCredentials {
  const { credentials } = createRequire(import.meta.url)("@grpc/grpc-js") as typeof import("@grpc/grpc-js");
  const options = { rejectUnauthorized: !skipsVerification };
  return credentials.createSsl(ca ?? null, pair?.key ?? null, pair?.cert ?? null, options);
}

function reportTo(logger: Logger): void {
  setGlobalErrorHandler((cause) => {
    const message = cause instanceof Error ? cause.message : typeof cause === "string" ? cause : String(cause.message);
    logger.warning(`Distributed tracing: ${message}`);
  });
  const warn = (message: string): void => logger.warning(`Distributed tracing: ${message}`);
  diag.setLogger(
    { error: warn, warn, info: () => undefined, debug: () => undefined, verbose: () => undefined },
    { logLevel: DiagLogLevel.WARN, suppressOverrideMessage: true },
  );
}
