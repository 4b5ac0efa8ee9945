/** `deit analyze ablation` in this process: a study of seconds from its first training to its files, and what is refused. */
import { readdir, readFile, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { beforeAll, describe, expect, it } from "vitest";
import { writeRandomModel } from "../../../deit/tests/helpers/random-model.ts";
import { temporaryFolder } from "../../../deit/tests/data/temporary.ts";
import { CLASSES, writePhotos } from "../../../deit/tests/training/photos.ts";
import type { Outcome } from "../../../deit/tests/cli/run-command.ts";
import { runCommand } from "../../../deit/tests/cli/run-command.ts";

let root = "";
let photos = "";
let recipe = "";
beforeAll(async () => {
  root = await temporaryFolder();
  photos = await writePhotos(join(root, "photos"), { perClass: 8 });
  recipe = join(root, "tiny.yaml");
  await writeRandomModel(join(root, "witness.safetensors"), {
    model: "deit_w64d4_patch4_32",
    classes: CLASSES,
    seed: 2,
  });
  await writeFile(
    recipe,
    "model: deit_w64d4_patch4_32\ninputSize: 16\nepochs: 1\nwarmupEpochs: 0\nbatchSize: 8\nvalSplit: 0.25\naa: null\nreprob: 0\nmixup: 0\ncutmix: 0\nrepeatedAug: false\nmodelEma: false\n",
  );
}, 60_000);

async function deit(...words: string[]): Promise<Outcome> {
  return runCommand(["analyze", "ablation", ...words]);
}

const QUICK = ["--device", "cpu", "--threads", "1", "--workers", "0"];

describe("a study of a varied option", () => {
  it("is trained, told, and told again without training; not under other options", async () => {
    const out = join(root, "study");
    const words = [recipe, "--vary", "drop-path=0.1,0", "--data-path", photos, "--out", out, ...QUICK];
    const first = await deit(...words);
    expect(first.code, first.err).toBe(0);
    expect(first.err).toContain("dropPath 0, seed 0: ");
    expect(first.out).toMatch(/^as it is \(dropPath 0\.1\) +1 +\d/m);
    expect(first.out).toMatch(/^dropPath 0 +1 +\d+\.\d\d .*[+−]\d/m);
    expect(first.out).toContain(`${out}: results.csv, summary.csv`);
    expect(await readdir(out)).toEqual(expect.arrayContaining(["ablation.json", "index.html", "runs"]));

    const again = await deit(...words, "--threads", "2", "--json");
    expect(again.code, again.err).toBe(0);
    expect(again.err).not.toContain("seed 0: ");
    const document = JSON.parse(again.out);
    expect(document).toMatchObject({ table: "tiny", missing: [], answers: [], answerSummaries: [] });
    expect(document.records).toHaveLength(2);
    expect(document.summaries[1]).toMatchObject({
      line: "dropPath 0",
      difference: { against: "as it is (dropPath 0.1)", pairs: 1, half: null, found: false },
    });

    const compared = await deit(...words, "--compare", `witness=${join(root, "witness.safetensors")}`);
    expect(compared.code, compared.err).toBe(0);
    expect(compared.out).toMatch(
      /^Disagreement with witness, % of the validation images:\n +seeds +mean .*\nas it is \(dropPath 0\.1\) +1 /m,
    );
    expect(await readFile(join(out, "answers-summary.csv"), "utf8")).toMatch(
      /^with,line,seeds,.*\nwitness,as it is \(dropPath 0\.1\),1,\d+\.\d{3},.*\nwitness,dropPath 0,1,/,
    );

    const other = await deit(...words, "--weight-decay", "0.3", "--num-train", "12");
    expect([other.code, other.out]).toEqual([2, ""]);
    expect(other.err).toContain("as-it-is-droppath-0.1-1-epochs-seed-0 holds a run with other options:\n");
    expect(other.err).toContain("numTrain: null there, 12 given\n");
    expect(other.err).toContain("weightDecay: 0.05 there, 0.3 given\n");
    expect(other.err).toContain("Choose another --out, or go on with the options as they were\n");

    const recipeBefore = await readFile(recipe, "utf8");
    await writeFile(recipe, recipeBefore.replace("batchSize: 8", "batchSize: 4"));
    const edited = await deit(...words);
    await writeFile(recipe, recipeBefore);
    expect(edited.err).toContain("batchSize: 8 there, 4 given");
    expect(edited.err).toContain("or go on with the options as they were: --batch-size 8\n");
  }, 200_000);
});

describe("refused before anything is made", () => {
  it.each([
    [["--table", "ablation-cifar10", "--vary", "mixup=0"], "--vary mixup=0 does not go with --table"],
    [["--table", "ablation-cifar10", "--grid"], "--grid does not go with --table ablation-cifar10"],
    [["cifar10-small", "--table", "ablation-cifar10"], "the recipe cifar10-small does not go with --table"],
    [["cifar10-small", "--vary", "mixup=0", "--row", "x"], "--row x chooses from a --table"],
    [["--row", "x"], "--row x chooses from a --table, and none was given"],
    [["cifar10-small"], "which variants?"],
    [["cifar10-small", "--grid"], "which variants?"],
    [["--table", "ablation-cifar10", "--row", "no Mixop"], 'there is no row "no Mixop"'],
    [["--table", "ablation-cifar10", "--seeds", "0,x"], '--seeds: got "0,x"'],
    [["--table", "ablation-cifar10", "--teacher", "a=b"], 'the table has no teacher "a"'],
    [["--table", "table2-cifar10", "--compare", "convnet=a"], "a teacher of the table has that name"],
    [["--table", "table2-cifar10", "--compare", "w=no.onnx"], "there is no checkpoint no.onnx", 1],
    [["--table", "table2-cifar10", "--teacher", "convnet=no.onnx"], "there is no checkpoint no.onnx", 1],
  ] as [string[], string, number?][])("%j", async (words, message, expected = 2) => {
    const out = join(root, "nothing");
    const { code, out: text, err } = await deit(...words, "--out", out);
    expect([code, text]).toEqual([expected, ""]);
    expect(err).toContain(message);
    expect(err).not.toContain("    at ");
    expect(await readdir(root)).not.toContain("nothing");
  });

  it.each([[], ["--estimate"]])("a file in the place of the folder %j", async (...more) => {
    const file = join(root, "file");
    await writeFile(file, "");
    const words = [recipe, "--vary", "mixup=0,0.8", "--data-path", photos, "--out", file, ...more];
    const { code, err } = await deit(...words);
    expect([code, err.includes(`--out: ${file} is a file, expected a folder`)]).toEqual([2, true]);
    await rm(file);
  });
});
