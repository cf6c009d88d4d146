/**
 * Replaces the trust domain of principals by the mesh's own and its aliases, where the policy names one of them or
 * `cluster.local`, which always means the mesh's own.
 * @source istio pilot/pkg/security/trustdomain/bundle.go ReplaceTrustDomainAliases
 */
export function expandPrincipals(values: readonly string[], bundle: readonly string[]): readonly string[] {
  const expanded: string[] = [];
  for (const value of values) {
    const slash = value.indexOf("/");
    const domain = value.slice(0, slash);
    const isWhole = value.split("/", 6).length === 5 && domain !== "*";
    if (!isWhole || (domain !== "cluster.local" && !bundle.some((member) => related(domain, member)))) {
      expanded.push(value);
      continue;
    }
    const first = expanded.length;
    for (const member of bundle) {
      const replaced = hasSuffixPattern(member, domain) ? value : member + value.slice(slash);
      if (!expanded.includes(replaced, first)) expanded.push(replaced);
    }
  }
  return expanded;
}

/** A trust domain of the bundle stands for the whole bundle. */
export function expandTrustDomains(values: readonly string[], bundle: readonly string[]): readonly string[] {
  return values.flatMap((value) => (bundle.includes(value) ? bundle : [value]));
}

function related(a: string, b: string): boolean {
  return (
    a === b || hasPrefixPattern(a, b) || hasPrefixPattern(b, a) || hasSuffixPattern(a, b) || hasSuffixPattern(b, a)
  );
}

function hasPrefixPattern(text: string, pattern: string): boolean {
  return pattern.endsWith("*") && text.startsWith(pattern.slice(0, -1));
}

function hasSuffixPattern(text: string, pattern: string): boolean {
  return pattern.startsWith("*") && text.endsWith(pattern.slice(1));
}
