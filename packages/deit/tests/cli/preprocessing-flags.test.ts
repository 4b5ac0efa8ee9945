/** How images are prepared can be said on every command that opens a checkpoint, and what nobody said is said by it. */
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import type { Command } from "commander";
import sharp from "sharp";
import { beforeAll, describe, expect, test } from "vitest";
import { loadLab } from "../../src/cli/lab.ts";
import { createProgram } from "../../src/cli/command-tree.ts";
import { temporaryFolder } from "../data/temporary.ts";
import { graphFile } from "../helpers/onnx-graph.ts";
import { runCommand } from "./run-command.ts";

let root = "";
const model = (): string => join(root, "model.onnx");
const image = (): string => join(root, "image.png");
beforeAll(async () => {
  root = await temporaryFolder();
  // red minus blue, and the reverse
  const matrix = [
    [1, -1],
    [0, 0],
    [-1, 1],
  ];
  await writeFile(model(), graphFile({ matrix, metadata: { classes: '["red", "blue"]' } }));
  // blue with a red middle: how much of the border is seen decides
  const width = 24;
  const pixels = Buffer.alloc(width * width * 3);
  for (let y = 0; y < width; y++)
    for (let x = 0; x < width; x++)
      pixels[(y * width + x) * 3 + (Math.max(Math.abs(x - 11.5), Math.abs(y - 11.5)) < 9 ? 0 : 2)] = 255;
  await sharp(pixels, { raw: { width, height: width, channels: 3 } })
    .png()
    .toFile(image());
});

const COMMANDS = [
  ["predict"],
  ["eval"],
  ["export"],
  ["analyze", "agreement"],
  ["analyze", "attention"],
  ["analyze", "labels"],
  ["analyze", "probe"],
  ["analyze", "throughput"],
  ["analyze", "tokens"],
] as const;

test.each(COMMANDS)("deit %s %s", (...names) => {
  let command: Command | undefined = createProgram(lab);
  for (const name of names) command = command?.commands.find((one) => one.name() === name);
  const flags = command?.options.map(({ long }) => long);
  for (const flag of ["--mean", "--std", "--crop-ratio", "--eval-crop-ratio", "--interpolation", "--resize"])
    expect(flags, flag).toContain(flag);
  if (names[1] !== "throughput") expect(flags).toContain("--input-size");
});

const lab = await loadLab();

describe("deit predict", () => {
  const score = async (...flags: string[]): Promise<{ label: string; score: number; stderr: string }> => {
    const { out: stdout, err: stderr } = await runCommand([
      "predict",
      model(),
      image(),
      "--json",
      "--device",
      "cpu",
      ...flags,
    ]);
    const [first] = JSON.parse(stdout)[0].predictions;
    return { ...first, stderr };
  };

  test("says what it assumes, and does what it is told", async () => {
    const assumed = await score();
    expect(assumed.stderr).toMatch(
      /model\.onnx does not specify preprocessing: assumed shorter side to 9 \(bicubic\), 8×8 cut out of the middle, ImageNet's mean and std/,
    );
    const plain = ["--mean", "0,0,0", "--std", "1", "1", "1"];
    const cut = await score(...plain, "--crop-ratio", "0.6");
    const whole = await score(...plain, "--eval-crop-ratio", "1", "--interpolation", "box");
    expect([cut.stderr, whole.stderr].join("")).not.toMatch(/assumed/);
    // red alone: 1 − −1; of the whole image 324 of 576 pixels are red
    expect(cut.score).toBeCloseTo(1 / (1 + Math.exp(-2)), 2);
    expect(whole.score).toBeCloseTo(1 / (1 + Math.exp(-2 * (2 * (324 / 576) - 1))), 2);
    const stronger = await score("--mean", "0,0,0", "--std", "0.5,0.5,0.5", "--crop-ratio", "0.6");
    expect(stronger.score).toBeCloseTo(1 / (1 + Math.exp(-4)), 2);
  });

  test("wrong values are named", async () => {
    for (const [flags, words] of [
      [["--interpolation", "cubic"], /nearest, lanczos, bilinear/],
      [["--mean", "0.5"], /--mean/],
      [["--crop-ratio", "0"], /--eval-crop-ratio/],
    ] as const) {
      const { code, err: stderr } = await runCommand(["predict", model(), image(), ...flags]);
      expect(code).toBe(2);
      expect(stderr).toMatch(words);
    }
  });
});
