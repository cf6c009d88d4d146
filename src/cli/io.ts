import type { Io } from "../rego/engine/index.ts";

let answer: Io | undefined;

/** Network access of builtins. The clients are loaded when a policy first asks. */
export const cliIo: Io = async (request) => {
  if (answer === undefined) {
    const { RegoIo } = await import("../server/index.ts");
    answer = new RegoIo().answer;
  }
  return answer(request);
};
