export { receiveHttp } from "./http-span.ts";
export { FileDescriptorWriter, type LineWriter } from "./line-writer.ts";
export {
  createLogger,
  LOG_LEVELS,
  type LogFields,
  type Logger,
  type LogLevel,
  SILENT_LOGGER,
} from "./logger.ts";
export { type LineStyle, type LogFormat, type LogLine, PLAIN_LINES, renderLine } from "./line-style.ts";
export { redactCredentials } from "./redact.ts";
export { rfc3339Millis, rfc3339Seconds } from "./rfc3339.ts";
export { METRICS, Metrics } from "./metrics.ts";
export { openTracing } from "./open-tracing.ts";
export { type PluginState, PluginStates, type PluginStatus } from "./plugin-states.ts";
export { StatusMetrics } from "./status-metrics.ts";
export type { HeaderReader, Span, SpanAttributes, Tracing, TracingOptions } from "./tracing.ts";
