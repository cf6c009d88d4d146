import { describe } from "vitest";
import { uuidBuiltins } from "../../../src/rego/builtins/uuid.ts";
import { testAnswers, testRefusals } from "../../support/builtin-rows.ts";

// Every row was answered the same by opa 1.20.2.
describe("uuid", () => {
  testAnswers(uuidBuiltins, [
    [
      "uuid.parse",
      '["6ba7b810-9dad-11d1-80b4-00c04fd430c8"]',
      '{"clocksequence":180,"macvariables":"global:unicast","nodeid":"00-c0-4f-d4-30-c8","time":886630433151182400,"variant":"RFC4122","version":1}',
    ],
    ["uuid.parse", '["{6ba7b810-9dad-41d1-c0b4-00c04fd430c8}"]', '{"variant":"Microsoft","version":4}'],
    [
      "uuid.parse",
      '["urn:uuid:000003e8-c3ef-21ee-9b05-325096b39f47"]',
      '{"clocksequence":6917,"domain":"Domain5","id":1000,"macvariables":"local:unicast","nodeid":"32-50-96-b3-9f-47","time":1707114175966512800,"variant":"RFC4122","version":2}',
    ],
    [
      "uuid.parse",
      '["6ba7b8109dad11d1e0b400c04fd430c8"]',
      '{"clocksequence":8372,"macvariables":"global:unicast","nodeid":"00-c0-4f-d4-30-c8","time":886630433151182400,"variant":"Future","version":1}',
    ],
    [
      "uuid.parse",
      '["00000000-0000-2000-8000-010203040506"]',
      '{"clocksequence":0,"domain":"Person","id":0,"macvariables":"global:multicast","nodeid":"01-02-03-04-05-06","time":6227451273709551616,"variant":"RFC4122","version":2}',
    ],
  ]);

  testRefusals(uuidBuiltins, [
    ["uuid.parse", '["6ba7b810"]', undefined],
    ["uuid.parse", '["6ba7b810x9dad-11d1-80b4-00c04fd430c8"]', undefined],
  ]);
});
