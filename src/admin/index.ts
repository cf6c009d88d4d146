export { ApiError } from "./api-error.ts";
export type { ApiReply, ApiRequest } from "./http.ts";
export { createRouter, type Route, type RouterOptions } from "./router.ts";
export { configRoute } from "./routes/config.ts";
export { healthRoutes } from "./routes/health.ts";
export { metricsRoute } from "./routes/metrics.ts";
