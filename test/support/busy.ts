/** Starts a clock that stands still while the process waits for a processor: on a busy machine only work counts. */
export function startClock(): () => number {
  const wall = performance.now();
  const cpu = process.cpuUsage();
  return () => {
    const { user, system } = process.cpuUsage(cpu);
    return Math.min(performance.now() - wall, (user + system) / 1000);
  };
}
