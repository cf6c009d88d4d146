import { describe } from "vitest";
import { uriBuiltins } from "../../../src/rego/builtins/uri.ts";
import { testAnswers, testRefusals } from "../../support/builtin-rows.ts";

// Every row was answered the same by opa 1.20.2.
describe("uri", () => {
  testAnswers(uriBuiltins, [
    [
      "uri.parse",
      '["https://user:pw@example.com:8443/a%20b/c?q=1#frag"]',
      '{"fragment":"frag","hostname":"example.com","path":"/a b/c","port":"8443","raw_path":"/a b/c","raw_query":"q=1","scheme":"https"}',
    ],
    [
      "uri.parse",
      '["http://[::1%25en0]:80/x"]',
      '{"hostname":"::1%en0","path":"/x","port":"80","raw_path":"/x","scheme":"http"}',
    ],
    ["uri.parse", '["mailto:a@b.c?x=y"]', '{"raw_query":"x=y","scheme":"mailto"}'],
    ["uri.parse", '["//h/p"]', '{"hostname":"h","path":"/p","raw_path":"/p"}'],
    ["uri.parse", '["/a%2fb"]', '{"path":"/a/b","raw_path":"/a%2fb"}'],
    ["uri.parse", '["/a%21b"]', '{"path":"/a!b","raw_path":"/a!b"}'],
    ["uri.parse", '[""]', "{}"],
    ["uri.parse", '["foo://a:b:80/"]', '{"hostname":"a:b","path":"/","port":"80","raw_path":"/","scheme":"foo"}'],
    ["uri.parse", '["a:b/c"]', '{"scheme":"a"}'],
    ["uri.is_valid", '["http://h"]', "true"],
    ["uri.is_valid", '[""]', "false"],
    ["uri.is_valid", '["http://h:x"]', "false"],
  ]);

  testRefusals(uriBuiltins, [
    ["uri.parse", '["http://a b/"]', 'parse "http://a b/": invalid character " " in host name'],
    ["uri.parse", '["http://h%41/"]', 'parse "http://h%41/": invalid URL escape "%41"'],
    ["uri.parse", '["http://h:9a/"]', 'parse "http://h:9a/": invalid port ":9a" after host'],
    ["uri.parse", '[":foo"]', 'parse ":foo": missing protocol scheme'],
    ["uri.parse", '["1a:b"]', 'parse "1a:b": first path segment in URL cannot contain colon'],
    ["uri.parse", '["http://u ser@h/"]', 'parse "http://u ser@h/": net/url: invalid userinfo'],
    ["uri.parse", '["http://h/#%zz"]', 'parse "http://h/#%zz": invalid URL escape "%zz"'],
    ["uri.parse", '["http://[::1/"]', "parse \"http://[::1/\": missing ']' in host"],
    ["uri.parse", '["http://[1.2.3.4]/"]', 'parse "http://[1.2.3.4]/": invalid IP-literal'],
    ["uri.parse", '["http://h\\u0001/"]', 'parse "http://h\\x01/": net/url: invalid control character in URL'],
  ]);
});
