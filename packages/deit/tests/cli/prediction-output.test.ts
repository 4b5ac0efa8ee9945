/** What `deit predict` prints on a terminal: names as signs, colours of names too. */
import { afterEach, expect, test, vi } from "vitest";
import { printedTable, printedText } from "../../src/cli/views/prediction-output.ts";

afterEach(() => vi.restoreAllMocks());

test.each([printedTable, printedText])(
  "a name's colours are not colours on a terminal: %o",
  async (printed) => {
    let text = "";
    vi.spyOn(process.stdout, "write").mockImplementation((chunk) => {
      text += String(chunk);
      return true;
    });
    const { isTTY } = process.stdout;
    process.stdout.isTTY = true;
    try {
      const predictions = [{ index: 0, label: "c\u001B[32mat", score: 0.5 }];
      await printed({ minScore: 0 }).add({ image: "a\u001B[31m.png", predictions });
    } finally {
      process.stdout.isTTY = isTTY;
    }
    expect(text).toContain("a␛[31m.png");
    expect(text).toContain("c␛[32mat");
  },
);
