import { describe, expect, test } from "vitest";
import { distinguishedName } from "../../src/admin/distinguished-name.ts";

// Texts of Go's pkix.RDNSequence.String.
describe("the identity of a client certificate", () => {
  test.for<readonly [string, Parameters<typeof distinguishedName>[0], string]>([
    ["attributes in reverse order", { C: "DE", O: "Acme", CN: "web" }, "CN=web,O=Acme,C=DE"],
    ["several values of one", { OU: ["b", "a"], CN: "web" }, "CN=web,OU=b+OU=a"],
    ["a comma is no separator", { CN: "web,O=Admins" }, "CN=web\\,O=Admins"],
    ["nor is anything else", { CN: '#a+"b"\\<c>; ' }, 'CN=\\#a\\+\\"b\\"\\\\\\<c\\>\\;\\ '],
    ["unknown attributes are left out", { CN: "web", emailAddress: "a@b" }, "CN=web"],
    ["nobody", {}, ""],
  ])("%s", ([, subject, text]) => {
    expect(distinguishedName(subject)).toBe(text);
  });
});
