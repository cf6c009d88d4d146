export { receiveHttp } from "./http-span.ts";
export { FileDescriptorWriter, type LineWriter } from "./line-writer.ts";
export {
  createLogger,
  LOG_LEVELS,
  type LogFields,
  type LogFormat,
  type Logger,
  type LogLevel,
  rfc3339Millis,
  rfc3339Seconds,
  SILENT_LOGGER,
} from "./logger.ts";
export { METRICS, Metrics } from "./metrics.ts";
export { openTracing } from "./open-tracing.ts";
export { type PluginState, PluginStates, type PluginStatus } from "./plugin-states.ts";
export { StatusMetrics } from "./status-metrics.ts";
export type { HeaderReader, Span, SpanAttributes, Tracing, TracingOptions } from "./tracing.ts";
