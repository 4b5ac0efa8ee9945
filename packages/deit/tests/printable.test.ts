/** Hostile names, shown: nothing reaches a terminal, a page, a figure or a model card that could act there. */
import { mkdir, rename, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { beforeAll, describe, expect, test } from "vitest";
import { forTerminal } from "../src/cli/output.ts";
import { table } from "../src/cli/views/text-format.ts";
import { DeitError, FormatError } from "../src/errors.ts";
import { nameAxis, numberAxis } from "../src/figures/axis.ts";
import { chartFile } from "../src/figures/chart.ts";
import { html } from "../src/figures/html.ts";
import { markdownText, oneLine, printable, printableJson, shellWord } from "../src/printable.ts";
import { runCommand } from "./cli/run-command.ts";
import { temporaryFolder } from "./data/temporary.ts";
import { writeRandomModel } from "./helpers/random-model.ts";
import { writePhotos } from "./training/photos.ts";

const ESCAPE = "\u001b";
const HOSTILE = `a${ESCAPE}[2J${ESCAPE}]0;title\u0007\u009b31m\u202egnp.exe\u2066\u200b\ufeff\u0000\rb`;
/** What must not be shown. */
const ACTS = /(?!\n)[\p{Cc}\p{Zl}\p{Zp}]|[\u200b\u200e\u200f\u202a-\u202e\u2060-\u2069\ufeff]/u;

describe("text", () => {
  test("controls, marks of direction and what has no width are signs; letters of all scripts stay", () => {
    expect(HOSTILE).toMatch(ACTS);
    expect(printable(HOSTILE)).not.toMatch(ACTS);
    expect(printable(HOSTILE)).toContain("a␛[2J␛]0;title␇⟨U+009B⟩31m⟨U+202E⟩gnp.exe");
    for (const plain of ["Müller 猫 ’ کتاب‌ها", "👩‍🚒 ok", "a\n\tb", "×−±"])
      expect(printable(plain)).toBe(plain);
    expect(printable("\ud800x")).toBe("⟨U+D800⟩x");
    expect(oneLine("a\nb\tc")).toBe("a␊b␉c");
  });

  test("a path is one word of a command line", () => {
    for (const plain of ["runs/a-2", "./Müller/猫.jpg"]) expect(shellWord(plain)).toBe(plain);
    for (const spaced of [
      "runs/My Photos",
      "a (1).jpg",
      "Käthe's",
      "a#b",
      "~a",
      "a;b",
      "deit_*_224",
      String.raw`C:\photos\cats`,
      "",
    ])
      expect(shellWord(spaced)).toBe(`"${spaced}"`);
    expect(shellWord('it\'s "$HOME"')).toBe(String.raw`'it'\''s "$HOME"'`);
  });

  test("JSON keeps its value", () => {
    const text = JSON.stringify({ [HOSTILE]: HOSTILE });
    expect(printableJson(text)).not.toMatch(ACTS);
    expect(JSON.parse(printableJson(text))).toEqual({ [HOSTILE]: HOSTILE });
  });

  test("a terminal with colours keeps ours", () => {
    const { FORCE_COLOR } = process.env;
    process.env["FORCE_COLOR"] = "1";
    try {
      const bold = `${ESCAPE}[1m${HOSTILE}${ESCAPE}[22m`;
      const shown = forTerminal({ isTTY: true }, bold);
      expect(shown.startsWith(`${ESCAPE}[1ma␛`)).toBe(true);
      expect(shown.slice(4, -5)).not.toMatch(ACTS);
      expect(forTerminal({ isTTY: true }, `${ESCAPE}[8mhidden`)).not.toContain(ESCAPE);
    } finally {
      if (FORCE_COLOR === undefined) delete process.env["FORCE_COLOR"];
      else process.env["FORCE_COLOR"] = FORCE_COLOR;
    }
  });

  test("a table's cell is one line", () => {
    expect(table([["cat\nerror: fake", "1"]])).toBe("cat␊error: fake  1");
  });

  test("Markdown and HTML of a model card are text", () => {
    const shown = markdownText(
      `![x](http://evil) <img src=x onerror=1> [l](y) | **b** \`c\` www.evil.org @me\n# h`,
    );
    expect(shown).not.toMatch(/(?<![\\&])[[\]*`|#!_]/);
    expect(shown).not.toMatch(/[<>@\n]|:\/\/|www\./);
    expect(markdownText("- item")).toBe(String.raw`\- item`);
    expect(markdownText("golden retriever 2.0")).toBe("golden retriever 2.0");
  });

  test("HTML and SVG", () => {
    expect(html`<b title="${HOSTILE}">${HOSTILE}</b>`.text).not.toMatch(ACTS);
    const svg = chartFile({
      description: HOSTILE,
      title: HOSTILE,
      panels: [{ x: nameAxis([HOSTILE]), y: numberAxis([0, 1]), marks: [] }],
    });
    expect(svg).toContain("gnp.exe");
    expect(svg).not.toMatch(ACTS);
  });
});

test("a message is of a length that can be read", () => {
  const names = Array.from({ length: 100_000 }, (_, i) => `blocks.${i}.weight`).join(", ");
  const error = new FormatError("file", `missing: ${names}`, { code: "internal", hint: "Get it again." });
  expect(error.message.length).toBeLessThan(5000);
  expect(error.message).toMatch(
    /^file: missing: blocks\.0\.weight, .*characters left out.*\nGet it again\.$/s,
  );
  expect(new DeitError("short", { code: "internal" }).message).toBe("short");
});

describe("the command line on names that act", () => {
  let root = "";
  beforeAll(async () => {
    root = await temporaryFolder();
  });

  test("of files, classes and options", async () => {
    const photos = await writePhotos(join(root, "photos"));
    await mkdir(join(root, "hostile"));
    const name = HOSTILE.replace("\u0000", "");
    await rename(photos, join(root, "hostile", name));
    const model = join(root, "model.safetensors");
    await writeRandomModel(model, { model: "deit_w64d4_patch4_32", classes: [HOSTILE, "b\nerror: x", "c"] });
    const broken = join(root, `${name}.png`);
    await writeFile(broken, "no image");
    const runs = [
      ["predict", model, join(root, "hostile", name), broken],
      ["predict", model, join(root, "hostile", name), "--json"],
      ["predict", join(root, name), "x.png"],
      ["predict", model, "x.png", `--${name}`],
      ["eval", model, "--data-path", join(root, "hostile", name)],
    ];
    for (const words of runs) {
      const { out, err } = await runCommand(words);
      expect(out + err).not.toMatch(ACTS);
      expect(out + err).toContain("gnp.exe".slice(0, 3));
      expect(out).not.toMatch(/^error: x/m);
    }
  });
});
