/** The request cannot be read. It ends in an explicit denial, because whoever sent it chose what it says. */
export class InputError extends Error {
  override readonly name = "InputError";
}

/** The bytes are no CheckRequest: not protobuf, nested too deep, or with text that is not UTF-8. */
export class WireError extends Error {
  override readonly name = "WireError";
}
