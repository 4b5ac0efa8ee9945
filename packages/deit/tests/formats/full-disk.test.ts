/** Every kind of file that commands write, on a disk that is full and on one that is for reading: the old one survives. */
import { execFileSync } from "node:child_process";
import { mkdir, readdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import sharp from "sharp";
import { describe, expect, test } from "vitest";
import { writeAnalysis } from "../../src/report/analysis-folder.ts";
import { openJournal } from "../../../lab/src/throughput/journal.ts";
import { numberAxis } from "../../src/figures/axis.ts";
import type { Chart } from "../../src/figures/chart.ts";
import { dots } from "../../src/figures/marks.ts";
import { makeFolder, openGrowingFile, writeFileAtomic } from "../../src/formats/atomic-file.ts";
import { writePredictionSheet } from "../../src/preview/prediction-sheet.ts";
import { temporaryFolder } from "../data/temporary.ts";
import { canMountSmallDisk, mountSmallDisk } from "./small-disk.ts";

const figure: Chart = {
  description: "many points",
  panels: [
    {
      x: numberAxis([0, 800]),
      y: numberAxis([0, 16]),
      marks: [
        dots(
          Array.from({ length: 800 }, (_, x) => ({ x, y: (x * x) % 17 })),
          { colour: "#2d5f9e" },
        ),
      ],
    },
  ],
};
const page = { title: "t", lead: "", sections: [] };

type Writer = (folder: string) => Promise<unknown>;
/** What each writes is larger than the disk. */
const WRITERS: Readonly<Record<string, readonly [file: string, write: Writer]>> = {
  "a table": [
    "answers.csv",
    async (folder) => writeFileAtomic(join(folder, "answers.csv"), "x".repeat(50_000)),
  ],
  "a file that grows": [
    "grown.json",
    async (folder) => {
      const file = await openGrowingFile(join(folder, "grown.json"));
      try {
        await file.write("x".repeat(50_000));
        await file.commit();
      } finally {
        await file.discard();
      }
    },
  ],
  "a sheet of images": [
    "sheet.png",
    async (folder) => {
      const image = join(await temporaryFolder(), "a.png");
      const noise = Buffer.from(Array.from({ length: 64 * 64 * 3 }, (_, i) => (i * i * 31) % 251));
      await sharp(noise, { raw: { width: 64, height: 64, channels: 3 } })
        .png()
        .toFile(image);
      const images = Array.from({ length: 6 }, () => ({
        image,
        predictions: [{ label: "cat", score: 1 }],
      }));
      await writePredictionSheet(join(folder, "sheet.png"), images, { title: "t", subtitle: "s" });
    },
  ],
  "a figure of an analysis": [
    "plot.svg",
    async (folder) => writeAnalysis(folder, { files: {}, figures: { plot: figure }, page }),
  ],
};

describe.skipIf(!canMountSmallDisk())("on a disk", () => {
  test.each(Object.entries(WRITERS))(
    "that is full, %s is not written, and the old one stays",
    async (_, [name, write]) => {
      const disk = mountSmallDisk({ kib: 12 });
      try {
        await writeFile(join(disk.path, name), "old");
        await expect(write(disk.path)).rejects.toMatchObject({ code: "files/not-written" });
        expect(await readFile(join(disk.path, name), "utf8")).toBe("old");
        expect((await readdir(disk.path)).filter((file) => file.startsWith("."))).toEqual([]);
      } finally {
        disk.unmount();
      }
    },
  );

  test.each([
    ...Object.entries(WRITERS),
    ["a new folder", ["old", async (folder: string) => makeFolder(join(folder, "a", "b"))]] as const,
    [
      "a journal",
      ["old", async (folder: string) => openJournal(join(folder, "a", "journal.jsonl"))],
    ] as const,
  ])("that is for reading only, %s is not written, and the error has words", async (_, [name, write]) => {
    const disk = mountSmallDisk({ kib: 12 });
    try {
      await mkdir(join(disk.path, "in"));
      await writeFile(join(disk.path, "in", name), "old");
      execFileSync("mount", ["-o", "remount,ro", disk.path]);
      await expect(write(join(disk.path, "in"))).rejects.toMatchObject({
        code: "files/not-written",
        message: expect.stringMatching(/^Cannot save .*: the disk is read-only.*\n.*Choose a folder/s),
      });
      expect(await readFile(join(disk.path, "in", name), "utf8")).toBe("old");
    } finally {
      disk.unmount();
    }
  });
});
