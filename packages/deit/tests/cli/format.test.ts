import { expect, it } from "vitest";
import { duration, facts, integer, mebibytes, short, table } from "../../src/cli/views/text-format.ts";

it.each([
  [0.04, "0.0 s"],
  [9.96, "10 s"],
  [9.94, "9.9 s"],
  [59.7, "1 min 0 s"],
  [200, "3 min 20 s"],
  [7500, "2 h 5 min"],
  [273_600, "3 d 4 h"],
  [Number.POSITIVE_INFINITY, "unknown"],
])("%d seconds are %s", (seconds, text) => {
  expect(duration(seconds)).toBe(text);
});

it("numbers are short and readable", () => {
  expect(integer(5_717_416)).toBe("5,717,416");
  expect([short(1234.5), short(14.64), short(0.03123), short(Number.NaN)]).toEqual([
    "1,235",
    "14.6",
    "0.0312",
    "NaN",
  ]);
  expect([mebibytes(0.2), mebibytes(12.1), mebibytes(1331)]).toEqual(["1 MiB", "13 MiB", "1.3 GiB"]);
});

it("tables line up", () => {
  const rows = [
    ["name", "n"],
    ["a", "100"],
  ];
  expect(table(rows, { right: [1] })).toBe("name    n\na     100");
  expect(
    facts([
      ["a", "1"],
      ["longer", undefined],
      ["b c", "2"],
    ]),
  ).toBe("  a    1\n  b c  2");
});

it("tables line up under signs of two columns and of none; one very long cell widens no other row", () => {
  const decomposed = "café".normalize("NFD");
  expect(
    table([
      ["日本 🌸", "1"],
      [decomposed, "2"],
      ["plain", "3"],
    ]),
  ).toBe(`日本 🌸  1\n${decomposed}     2\nplain    3`);
  const long = "x".repeat(200);
  expect(
    table([
      [long, "1"],
      ["a", "2"],
    ]),
  ).toBe(`${long}  1\n${"a".padEnd(80)}  2`);
});
