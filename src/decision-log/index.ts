export type { DecisionEvent } from "./event.ts";
export { DecisionRecorder, type RecorderOptions, type Sink } from "./recorder.ts";
export { consoleSink } from "./sinks/console.ts";
export { styledConsoleSink } from "./sinks/styled-console.ts";
export { HttpSink, type UploadOptions } from "./sinks/http.ts";
