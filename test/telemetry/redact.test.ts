import { expect, test } from "vitest";
import { redactCredentials } from "../../src/telemetry/index.ts";

const TOKEN = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJhIn0.c2lnbmF0dXJl";

test.for([
  { text: `{"authorization": "Bearer ${TOKEN}", "x": "1"}`, want: '{"authorization": "Bearer [redacted]", "x": "1"}' },
  { text: "basic dXNlcjpwYXNz==", want: "basic [redacted]" },
  { text: `token=${TOKEN}&x=1`, want: "token=[redacted]&x=1" },
  { text: `{"cookie": "sid=${TOKEN}"}`, want: '{"cookie": "sid=[redacted]"}' },
  { text: "policy.rego:3: bearer of news, basic rules", want: "policy.rego:3: bearer of news, basic rules" },
  { text: "user alice has roles [admin]", want: "user alice has roles [admin]" },
])("$text", ({ text, want }) => {
  expect(redactCredentials(text)).toBe(want);
});
