function* range(first: number, last: number): Generator<number> {
  for (let code = first; code <= last; code++) yield code;
}

/**
 * Codes a denial may carry: those that both Go's http.StatusText and Envoy's type.v3.StatusCode know. Of the registered ones
 * 101, 102, 103, 418, 425 and 451 are not among them.
 */
export const ENVOY_HTTP_STATUS: ReadonlySet<number> = new Set([
  100,
  ...range(200, 208),
  226,
  ...range(300, 305),
  307,
  308,
  ...range(400, 417),
  ...range(421, 424),
  426,
  428,
  429,
  431,
  ...range(500, 508),
  510,
  511,
]);
