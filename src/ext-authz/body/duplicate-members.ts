/**
 * The name of a member that an object of the text has twice, wherever it is; undefined where all differ.
 *
 * @param json  A legal JSON text.
 */
export function duplicateMember(json: string): string | undefined {
  /** Names of each object that is open; undefined for arrays. */
  const open: (Set<string> | undefined)[] = [];
  let isName = false;
  for (let i = 0; i < json.length; i++) {
    switch (json[i]) {
      case "{":
        open.push(new Set());
        isName = true;
        break;
      case "[":
        open.push(undefined);
        isName = false;
        break;
      case "}":
      case "]":
        open.pop();
        break;
      case ",":
        isName = open.at(-1) !== undefined;
        break;
      case '"': {
        const end = stringEnd(json, i);
        const names = open.at(-1);
        if (isName && names !== undefined) {
          const name = JSON.parse(json.slice(i, end)) as string;
          if (names.has(name)) return name;
          names.add(name);
          isName = false;
        }
        i = end - 1;
        break;
      }
      default:
    }
  }
  return undefined;
}

/** Behind the closing quotation mark. */
function stringEnd(json: string, start: number): number {
  let end = start + 1;
  while (json[end] !== '"' && end < json.length) end += json[end] === "\\" ? 2 : 1;
  return end + 1;
}
