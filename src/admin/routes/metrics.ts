import type { Metrics } from "../../telemetry/index.ts";
import type { Route } from "../router.ts";

/** `GET /metrics`: Prometheus text. */
export function metricsRoute(metrics: Metrics): Route {
  return {
    method: "GET",
    prefix: "metrics",
    isTree: false,
    handle: async () => ({ status: 200, body: await metrics.text(), contentType: metrics.contentType }),
  };
}
