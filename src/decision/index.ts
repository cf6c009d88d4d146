export type { DecisionRecorder } from "../decision-log/index.ts";
export { type Call, Decider, type DeciderOptions, type Limits, Ruling } from "./decider.ts";
export type { Outcome, Place } from "./outcome.ts";
