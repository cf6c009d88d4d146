import { expect, test } from "vitest";
import { SteadyClock } from "../../src/identity/clock.ts";
import { HandClock } from "../support/identity.ts";

const HOUR = 3_600_000;

test("follows the wall clock forward", () => {
  const hands = new HandClock();
  const clock = new SteadyClock(hands);
  hands.set(hands.wallMs() + 24 * HOUR);
  expect(clock.nowMs()).toBe(hands.wallMs());
});

test("is not set back by surprise", () => {
  const hands = new HandClock();
  const clock = new SteadyClock(hands);
  const before = clock.nowMs();
  hands.set(hands.wallMs() - HOUR);
  expect(clock.nowMs()).toBe(before);
  hands.pass(1000);
  expect(clock.nowMs()).toBe(before + 1000);
});

test("a step forward that is taken back leaves nothing behind", () => {
  const hands = new HandClock();
  const clock = new SteadyClock(hands);
  const before = clock.nowMs();
  hands.set(before + 24 * HOUR);
  clock.nowMs();
  hands.set(before);
  expect(clock.nowMs()).toBe(before);
});

test("believes a clock that stays back for an hour", () => {
  const hands = new HandClock();
  const clock = new SteadyClock(hands);
  hands.set(hands.wallMs() - HOUR);
  clock.nowMs();
  hands.pass(HOUR);
  expect(clock.nowMs()).toBe(hands.wallMs());
  hands.pass(5000);
  expect(clock.nowMs()).toBe(hands.wallMs());
});
