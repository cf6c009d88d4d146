import type { Tracing, TracingOptions } from "./tracing.ts";

/** The libraries behind it are loaded here and nowhere else: who does not trace does not pay for them. */
export async function openTracing(options: TracingOptions): Promise<Tracing> {
  const { OtelTracing } = await import("./otel-tracing.ts");
  return OtelTracing.open(options);
}
