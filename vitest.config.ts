import { defineConfig } from "vitest/config";

/**
 * Three suites: `unit` needs nothing outside the repository; `conformance` reads the case files named by
 * CARDEA_CASES (default ../shared/cases); `e2e` starts real servers and external programs.
 */
export default defineConfig({
  test: {
    testTimeout: 60_000,
    projects: [
      {
        extends: true,
        test: {
          name: "unit",
          include: ["test/**/*.test.ts"],
          exclude: ["test/conformance/**", "test/e2e/**", "test/external/**"],
        },
      },
      {
        extends: true,
        test: { name: "conformance", include: ["test/conformance/**/*.test.ts"], testTimeout: 600_000 },
      },
      {
        extends: true,
        test: { name: "e2e", include: ["test/e2e/**/*.test.ts", "test/external/**/*.test.ts"], testTimeout: 600_000 },
      },
    ],
  },
});
