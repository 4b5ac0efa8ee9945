import { parse } from "csv-parse/sync";
import { expect, test } from "vitest";
import { csv } from "../../src/formats/csv.ts";

test("gives back what went in, however odd, and quotes nothing else", () => {
  const rows = [
    ["file", "label"],
    ['a "b", c.png', "line\nbreak"],
    [" spaces ", ""],
    ["ünïcode", "=1+1"],
  ];
  expect(parse(csv(rows))).toEqual(rows);
  expect(csv([["a.png", "tabby cat", 0.5]])).toBe("a.png,tabby cat,0.5\n");
});
