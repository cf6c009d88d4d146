/**
 * An IP address or CIDR block as Go's net/netip reads it: no leading zeros, no zone in a block.
 * @returns the block in CIDR form (`10.0.0.1` → `10.0.0.1/32`), or undefined.
 */
export function toCidr(text: string): string | undefined {
  const slash = text.lastIndexOf("/");
  const address = slash === -1 ? text : text.slice(0, slash);
  const version = ipVersion(address);
  if (version === undefined) return undefined;
  const width = version === 4 ? 32 : 128;
  if (slash === -1) return `${address}/${width}`;
  const prefix = text.slice(slash + 1);
  if (!/^(?:0|[1-9][0-9]{0,2})$/.test(prefix) || Number(prefix) > width) return undefined;
  return text;
}

function ipVersion(text: string): 4 | 6 | undefined {
  if (isIpv4(text)) return 4;
  return isIpv6(text) ? 6 : undefined;
}

function isIpv4(text: string): boolean {
  const parts = text.split(".");
  return parts.length === 4 && parts.every((part) => /^(?:0|[1-9][0-9]{0,2})$/.test(part) && Number(part) <= 255);
}

function isIpv6(text: string): boolean {
  if (text.length > 45 || !text.includes(":")) return false;
  const halves = text.split("::");
  if (halves.length > 2) return false;
  const groups = (half: string): number | undefined => {
    if (half === "") return 0;
    const parts = half.split(":");
    let count = 0;
    for (const [i, part] of parts.entries()) {
      if (i === parts.length - 1 && part.includes(".")) {
        if (!isIpv4(part)) return undefined;
        count += 2;
      } else if (/^[0-9a-fA-F]{1,4}$/.test(part)) count++;
      else return undefined;
    }
    return count;
  };
  const head = groups(halves[0] as string);
  if (head === undefined) return false;
  if (halves.length === 1) return head === 8;
  // An embedded IPv4 address may only end the whole address.
  if ((halves[0] as string).includes(".")) return false;
  const tail = groups(halves[1] as string);
  return tail !== undefined && head + tail < 8;
}
