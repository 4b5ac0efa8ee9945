/**
 * What a run keeps of what it is made of: record.json with its classes, how its best epoch is chosen, the form of its
 * program and hashes of some images; images.txt.gz with the part of each image, a line each. Written when the run starts;
 * a resume, and whatever measures the run later, go by it.
 */
import { randomUUID } from "node:crypto";
import { readFile, rm, stat } from "node:fs/promises";
import { join } from "node:path";
import { promisify } from "node:util";
import { gunzip, gzip } from "node:zlib";
import { z } from "zod";
import type {
  ImagePart,
  ImageSample,
  PartedImages,
  RecordedImage,
  RecordedImages,
} from "../../data/recorded-images.ts";
import { partKeys, scoped } from "../../data/recorded-images.ts";
import { sampleImages } from "../../data/image-samples.ts";
import { ConfigError, DeitError, FormatError } from "../../errors.ts";
import { decodeModelMetadata } from "../../formats/model-metadata.ts";
import { openSafetensors } from "../../formats/safetensors-file.ts";
import { writeFileAtomic } from "../../formats/atomic-file.ts";

import type { Model } from "../../models/registry.ts";
import type { Layout } from "../../nn/parameters.ts";
import { LOSS_SCALE_STATE } from "../../optim/loss-scale.ts";
import type { Optimizer } from "../../optim/optimizer.ts";
import { trainingState } from "../loop/training-programs.ts";
import { shellWord } from "../../printable.ts";

export const RECORD_FILES = { record: "record.json", images: "images.txt.gz" } as const;

/** record.json. Other tools read it: add keys, never rename these. */
export interface RunIdentity {
  readonly format: typeof FORMAT;
  /** Drawn at the start; state.safetensors has it, too. */
  readonly run: string;
  /** Display names by index. */
  readonly classes: readonly string[];
  readonly images: Readonly<Record<ImagePart, number>> & { readonly ownValidation: boolean };
  readonly samples: readonly ImageSample[];
  /** Which epoch best.safetensors is of. */
  readonly selection: "best" | "last";
  readonly program: ProgramForm;
  /** The epoch from which on the record was kept, in runs that began without one. */
  readonly since?: number | undefined;
  /** Batches of an update, in a run that began as several processes: so many they stay, however many share them. */
  readonly updateBatches?: number | undefined;
}

/** What a saved state has to fit. */
export interface ProgramForm {
  readonly model: string;
  /** Lengths of the vectors of the state, by name. */
  readonly vectors: Readonly<Record<string, number>>;
}

/** What a run is made of, as training has it. */
export interface RunParts {
  readonly opened: PartedImages;
  readonly selection: RunIdentity["selection"];
  readonly program: ProgramForm;
  readonly updateBatches?: number | undefined;
}

const FORMAT = "deit-run/1";
const count = z.int().nonnegative();
const schema = z.looseObject({
  format: z.literal(FORMAT),
  run: z.string(),
  classes: z.array(z.string()),
  images: z.looseObject({
    train: count,
    validation: count,
    unused: count,
    ownValidation: z.boolean(),
  }),
  samples: z.array(z.looseObject({ key: z.string(), sha256: z.string() })),
  selection: z.enum(["best", "last"]),
  program: z.looseObject({ model: z.string(), vectors: z.record(z.string(), count) }),
  since: count.optional(),
  updateBatches: count.min(1).optional(),
});

/** Letters of images.txt. */
const LETTERS = { train: "t", validation: "v", unused: "u" } as const;
const PARTS: ReadonlyMap<string, ImagePart> = new Map(
  (["train", "validation", "unused"] as const).map((part) => [LETTERS[part], part]),
);

/** Replaces the record of a run folder. Returns the run's identity. */
export async function writeRecord(
  folder: string,
  { opened, selection, program, updateBatches }: RunParts,
  { run = randomUUID(), since }: { run?: string | undefined; since?: number | undefined } = {},
): Promise<RunIdentity> {
  const ownValidation = !opened.automaticSplit && opened.validation !== undefined;
  const keys = partKeys(opened);
  const { text, counts } = listImages(opened, keys);
  // The fastest level: names that are sorted compress well anyhow.
  const packed = await promisify(gzip)(text, { level: 1 });
  const record: RunIdentity = {
    format: FORMAT,
    run,
    classes: opened.whole.classes,
    images: { ...counts, ownValidation },
    samples: await sampleImages(opened, keys, { ownValidation }),
    selection,
    program,
    ...(since !== undefined && { since }),
    ...(updateBatches !== undefined && { updateBatches }),
  };
  // record.json comes last: with it the record is whole.
  await rm(join(folder, RECORD_FILES.record), { force: true });
  await writeFileAtomic(join(folder, RECORD_FILES.images), packed, { what: "the list of the run's images" });
  const json = `${JSON.stringify(record, null, 2)}\n`;
  await writeFileAtomic(join(folder, RECORD_FILES.record), json, { what: "the record of the run" });
  return record;
}

/**
 * The record of a run that is opened: written for a new one, compared in a resume.
 * @throws ConfigError when the state is that of another run
 */
export async function keepRecord(
  folder: string,
  { parts, state }: { parts: RunParts | undefined; state: { run: string | undefined; epoch: number } | null },
): Promise<{ record: RunIdentity | undefined; note?: string }> {
  if (parts === undefined) return { record: undefined };
  if (state === null) return { record: await writeRecord(folder, parts) };
  const record = await readRecord(folder);
  if (record === undefined) {
    const since = state.epoch;
    // as such a run did
    const began = { ...parts, selection: "best" } as const;
    return {
      record: await writeRecord(folder, began, { run: state.run, since }),
      note: `${folder} has no list of its images: the present images and classes are recorded as its own`,
    };
  }
  if (state.run !== undefined && state.run !== record.run) {
    throw new ConfigError(
      "outputDir",
      `${folder} holds the state of another run than its ${RECORD_FILES.record} is of`,
      {
        code: "run/foreign-state",
        hint: "Put its own state.safetensors back, or copy the other run's folder as a whole.",
      },
    );
  }
  checkForm(folder, record.program, parts.program);
  return { record };
}

/** Reads record.json; undefined in folders without one. @throws FormatError when it is damaged */
export async function readRecord(folder: string): Promise<RunIdentity | undefined> {
  const file = join(folder, RECORD_FILES.record);
  const text = await readFile(file, "utf8").catch(() => undefined);
  if (text === undefined) return undefined;
  try {
    return schema.parse(JSON.parse(text));
  } catch (cause) {
    throw damaged(file, cause);
  }
}

/** The images of a run by its record, to open them as it did; undefined in folders without one. @throws FormatError */
export async function readRecordedImages(folder: string): Promise<RecordedImages | undefined> {
  const record = await readRecord(folder);
  if (record === undefined) return undefined;
  const { classes, samples } = record;
  const { ownValidation } = record.images;
  const file = join(folder, RECORD_FILES.images);
  const text = await readFile(file)
    .then(async (packed) => (await promisify(gunzip)(packed)).toString("utf8"))
    .catch((cause: unknown) => {
      throw damaged(file, cause);
    });
  const images = new Map<string, RecordedImage>();
  // Images of one part and class share an object.
  const shared = new Map<string, RecordedImage>();
  for (const line of text.split("\n")) {
    if (line === "") continue;
    const [letter = "", label = ""] = line.split("\t", 2);
    const part = PARTS.get(letter);
    const start = `${letter}\t${label}`;
    const image = shared.get(start) ?? (part && { part, label: Number(label) });
    if (image === undefined || !(image.label >= 0) || line[start.length] !== "\t")
      throw damaged(file, undefined);
    shared.set(start, image);
    const key = unescape(line.slice(start.length + 1));
    images.set(scoped(key, image.part, { ownValidation }), image);
  }
  const { train, validation, unused } = record.images;
  if (images.size !== train + validation + unused) throw damaged(file, undefined);
  return { run: folder, classes, ownValidation, images, samples };
}

/**
 * The images of the run in a folder, to go on with it; undefined where there is none to go on with. Of a run that kept no
 * list, its classes are known from its models.
 */
export async function imagesToResume(folder: string): Promise<RecordedImages | undefined> {
  if (!(await isThere(join(folder, "state.safetensors")))) return undefined;
  return (await readRecordedImages(folder)) ?? classesOfModels(folder);
}

/**
 * Batches of an update of the run in a folder that is gone on with; undefined where it has none saved, or where its options
 * say it.
 */
export async function updateBatchesToResume(
  folder: string,
): Promise<{ readonly recorded: number | undefined } | undefined> {
  if (!(await isThere(join(folder, "state.safetensors")))) return undefined;
  return { recorded: (await readRecord(folder))?.updateBatches };
}

async function classesOfModels(folder: string): Promise<RecordedImages | undefined> {
  for (const name of ["last.safetensors", "best.safetensors"]) {
    const file = join(folder, name);
    if (!(await isThere(file))) continue;
    await using model = await openSafetensors(file);
    const { classes } = decodeModelMetadata(model.metadata, { file });
    if (classes !== undefined)
      return { run: folder, classes, ownValidation: false, images: undefined, samples: [] };
  }
  return undefined;
}

async function isThere(file: string): Promise<boolean> {
  return stat(file).then(
    () => true,
    () => false,
  );
}

/** The vectors of the state, but those that depend on the precision, in which a run may go on otherwise. */
export function programForm(
  model: Pick<Model, "name">,
  { layout, optimizer }: { layout: Layout; optimizer: Optimizer },
): ProgramForm {
  const vectors = trainingState(layout, optimizer).filter(({ name }) => name !== LOSS_SCALE_STATE);
  return {
    model: model.name,
    vectors: Object.fromEntries(vectors.map(({ name, length }) => [name, length])),
  };
}

/** @throws DeitError when a saved state does not fit the program */
function checkForm(folder: string, there: ProgramForm, now: ProgramForm): void {
  const names = [...new Set([...Object.keys(there.vectors), ...Object.keys(now.vectors)])];
  const other = names.find((name) => there.vectors[name] !== now.vectors[name]);
  if (other === undefined) return;
  const length = ({ vectors }: ProgramForm): string =>
    `${vectors[other]?.toLocaleString("en-US") ?? "no"} numbers`;
  throw new DeitError(
    `${folder} was trained by a program of another form: ${length(there)} for ${other} there, ${length(now)} now`,
    {
      code: "run/other-program",
      hint: `Go on with the version of deit-ts that began the run (see args.yaml), or start a new run from its weights: deit finetune IMAGES --finetune ${shellWord(folder)} --output-dir NEW`,
    },
  );
}

/** A line for each image: letter of its part, label, key. */
function listImages(
  { whole, train, validation, automaticSplit }: PartedImages,
  keys: ReturnType<typeof partKeys>,
): { text: string; counts: Record<ImagePart, number> } {
  const lines: string[] = [];
  const counts = { train: train.length, validation: validation?.length ?? 0, unused: 0 };
  const add = (part: ImagePart, key: string, label: number | undefined): void => {
    lines.push(`${LETTERS[part]}\t${label ?? 0}\t${escape(key)}\n`);
  };
  for (const [i, key] of keys.train.entries()) add("train", key, train.labels[i]);
  for (const [i, key] of keys.validation.entries()) add("validation", key, validation?.labels[i]);
  const used = train.length + (automaticSplit ? counts.validation : 0);
  if (used < whole.length) {
    const taken = new Set([...keys.train, ...(automaticSplit ? keys.validation : [])]);
    for (const [i, key] of keys.whole.entries())
      if (!taken.has(key)) {
        add("unused", key, whole.labels[i]);
        counts.unused++;
      }
  }
  return { text: lines.join(""), counts };
}

/** Line breaks may stand in file names. */
function escape(key: string): string {
  return /[\\\n\r]/.test(key) ? JSON.stringify(key).slice(1, -1) : key;
}

function unescape(text: string): string {
  return text.includes("\\") ? String(JSON.parse(`"${text}"`)) : text;
}

function damaged(file: string, cause: unknown): FormatError {
  return new FormatError(file, "is damaged, or was edited", {
    code: "run/unreadable",
    hint: "Put it back from a copy, or delete record.json: the run then continues with the present images and classes.",
    cause,
  });
}
