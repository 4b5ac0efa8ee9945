/** Where the answers of `deit predict` go, one image at a time: a table, a JSON document, text; to stdout or a file. */
import type { ImagePredictions } from "../../evaluation/predict.ts";
import { openGrowingFile } from "../../formats/atomic-file.ts";
import { csv } from "../../formats/csv.ts";
import { oneLine, printable, printableJson } from "../../printable.ts";
import { table } from "./text-format.ts";
import { coloursFor, forTerminal } from "../output.ts";

/** Takes answers as they come. */
export interface AnswerSink {
  add(result: ImagePredictions): Promise<void>;
  /** After the last one. */
  finish(): Promise<void>;
  /** Instead of `finish`, when there will be no more. Does nothing afterwards. */
  discard(): Promise<void>;
}

interface Columns {
  /** Answers with a lower score are left out. */
  readonly minScore: number;
}

type Write = (text: string) => Promise<void>;

/** The table in a file, which is there when it is whole. @throws DeitError when it cannot be written */
export async function tableFile(path: string, columns: Columns): Promise<AnswerSink> {
  const file = await openGrowingFile(path, { what: "the answers" });
  const { add } = tableSink((text) => file.write(text), columns);
  return { add, finish: () => file.commit(), discard: () => file.discard() };
}

/** The table on stdout. Names are as they are for programs, as signs for people. */
export function printedTable(columns: Columns): AnswerSink {
  const { stdout } = process;
  return tableSink((text) => print(stdout.isTTY ? printable(text) : text), columns);
}

/** One JSON document, a list with an object for each image. */
export function printedJson({ minScore }: Columns): AnswerSink {
  let before = "[\n";
  return {
    async add(result) {
      const kept = { ...result, predictions: above(result, minScore) };
      const text = printableJson(JSON.stringify(kept, null, 2));
      await print(`${before}  ${text.split("\n").join("\n  ")}`);
      before = ",\n";
    },
    finish: () => print("\n]\n"),
    discard: async () => {},
  };
}

export function printedText({ minScore }: Columns): AnswerSink {
  const { bold } = coloursFor(process.stdout);
  return {
    async add(result) {
      const answers = above(result, minScore);
      const rows = answers.map(({ label, score }) => [percent(score), printable(label)]);
      const shown = rows.length === 0 ? [["", `nothing reaches ${percent(minScore)}`]] : rows;
      const lines = table(shown, { right: [0] }).replaceAll(/^/gm, "  ");
      await print(`${forTerminal(process.stdout, `${bold(oneLine(printable(result.image)))}\n${lines}`)}\n`);
    },
    finish: async () => {},
    discard: async () => {},
  };
}

/** The answers that reach a score, best first. */
export function above({ predictions }: ImagePredictions, minScore: number): ImagePredictions["predictions"] {
  return minScore > 0 ? predictions.filter(({ score }) => score >= minScore) : predictions;
}

/** Digits of a score: those that float32 logits are good for. */
const DIGITS = 6;

/** file,label,score for the best answer, then label_2,score_2 and so on for the others; empty below the least score. */
function tableSink(write: Write, { minScore }: Columns): AnswerSink {
  let columns: number | undefined;
  return {
    async add(result) {
      const rows: (string | number)[][] = [];
      if (columns === undefined) {
        columns = result.predictions.length; // of every image as many
        const endings = Array.from({ length: columns }, (_, i) => (i === 0 ? "" : `_${i + 1}`));
        rows.push(["file", ...endings.flatMap((ending) => [`label${ending}`, `score${ending}`])]);
      }
      const cells = above(result, minScore).flatMap(({ label, score }) => [label, score.toFixed(DIGITS)]);
      rows.push([result.image, ...cells, ...Array<string>(2 * columns - cells.length).fill("")]);
      await write(csv(rows));
    },
    finish: async () => {},
    discard: async () => {},
  };
}

function percent(score: number): string {
  return `${(100 * score).toFixed(1)} %`;
}

/** Waits for a slow reader, so that what it has not read yet does not fill the memory. */
async function print(text: string): Promise<void> {
  const { stdout } = process;
  if (stdout.write(text)) return;
  await new Promise<void>((resolve) => {
    const names = ["drain", "error", "close"] as const;
    const done = (): void => {
      for (const name of names) stdout.removeListener(name, done);
      resolve();
    };
    for (const name of names) stdout.once(name, done);
  });
}
