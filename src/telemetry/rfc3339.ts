/** `2026-11-22T09:56:51Z` */
export function rfc3339Seconds(ms: number): string {
  return `${secondText(Math.floor(ms / 1000))}Z`;
}

/** `2026-11-22T09:56:51.042Z` */
export function rfc3339Millis(ms: number): string {
  const second = Math.floor(ms / 1000);
  return `${secondText(second)}.${String(Math.floor(ms) - second * 1000).padStart(3, "0")}Z`;
}

/** The latest second that was asked for: a decision log asks thousands of times for the same. */
let known = { second: Number.NaN, text: "" };

function secondText(second: number): string {
  if (second !== known.second) known = { second, text: new Date(second * 1000).toISOString().slice(0, 19) };
  return known.text;
}
