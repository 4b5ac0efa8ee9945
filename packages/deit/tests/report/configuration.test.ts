import { expect, test } from "vitest";
import { optionRows, shellWord, startCommand } from "../../src/report/configuration.ts";
import type { RunSession } from "../../src/training/run/run-folder.ts";

test("options that differ are shown beside their defaults, in the help's order; unknown ones last", () => {
  const rows = optionRows({
    future: [1, 2],
    outputDir: "runs/a",
    numTrain: null,
    lr: 0.001,
    mean: [0.485, 0.456, 0.406],
    optBetas: [0.9, 0.99],
    epochs: 300,
  });
  expect(rows.map(({ name, value, standard }) => [name, value, standard])).toEqual([
    ["numTrain", "all", undefined],
    ["epochs", "300", undefined],
    ["lr", "1e-3", "5e-4"],
    ["optBetas", "0.9 0.99", "0.9 0.999"],
    ["mean", "0.485 0.456 0.406", undefined],
    ["outputDir", "runs/a", undefined],
    ["future", "1 2", undefined],
  ]);
});

test("the command can be pasted into a shell", () => {
  const session = (command: string[]): RunSession[] => [{ command } as unknown as RunSession];
  expect(startCommand(session(["train", "./my photos", "--lr", "1e-3"]))).toEqual([
    "deit",
    "train",
    "'./my photos'",
    "--lr",
    "1e-3",
  ]);
  expect(startCommand(session(["server.js"]))).toBeUndefined();
  expect(startCommand([])).toBeUndefined();
  expect(shellWord("it's; rm $HOME")).toBe(String.raw`'it'\''s; rm $HOME'`);
  expect(shellWord("")).toBe("''");
});
