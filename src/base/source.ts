/** One text a diagnostic can point into: a Rego module, a YAML file, a query. */
export class Source {
  /** File name as the operator knows it; empty for ad-hoc queries. */
  readonly name: string;
  readonly text: string;
  #lineStarts: number[] | undefined;

  constructor(name: string, text: string) {
    this.name = name;
    this.text = text;
  }

  /** The text of a 1-based row, without its line end. */
  line(row: number): string {
    const starts = this.#starts();
    const start = starts[row - 1];
    if (start === undefined) return "";
    const end = starts[row] ?? this.text.length + 1;
    return this.text.slice(start, end - 1).replace(/\r$/, "");
  }

  #starts(): number[] {
    if (this.#lineStarts === undefined) {
      const starts = [0];
      for (let i = this.text.indexOf("\n"); i !== -1; i = this.text.indexOf("\n", i + 1)) starts.push(i + 1);
      this.#lineStarts = starts;
    }
    return this.#lineStarts;
  }
}

/** A span of a source. Rows and columns are 1-based; a column is one code point; offsets are UTF-16 units. */
export interface Location {
  readonly source: Source;
  readonly row: number;
  readonly col: number;
  readonly offset: number;
  /** Offset just past the span. */
  readonly end: number;
}

export function locationText(location: Location): string {
  return location.source.text.slice(location.offset, location.end);
}

/** `file:row`, or `row:col` where the source has no name: OPA's way of naming a place. */
export function placeOf(location: Location): string {
  return location.source.name !== "" ? `${location.source.name}:${location.row}` : `${location.row}:${location.col}`;
}
