export type { DecisionRecorder } from "../decision-log/index.ts";
export {
  type Account,
  type Call,
  Decider,
  type DeciderOptions,
  type IdentityOptions,
  type Limits,
  type Ruled,
  Ruling,
  type TracedIo,
} from "./decider.ts";
export type { Outcome, Place } from "./outcome.ts";
export type { Subject } from "./subject.ts";
