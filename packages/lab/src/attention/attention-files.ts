/**
 * What `deit analyze attention` writes: maps over the whole image as PNG, sheets of heads and layers and of the tokens
 * beside each other, the numbers, and one page with all of it. Page and numbers are written as the images come; nothing of
 * an image is kept.
 */
import { basename, extname, join } from "node:path";
import sharp from "sharp";
import { aroundSections, sectionText } from "deit-ts/charts";
import type { Theme } from "deit-ts/charts";
import type { RgbImage } from "deit-ts/data";
import { csv, makeFolder, openGrowingFile, writeFileAtomic } from "deit-ts/studies";
import type { GrowingFile } from "deit-ts/studies";
import { attentionNumbers, NUMBERS_HEAD, numbersRows } from "./attention-numbers.ts";
import { overlay, rangeOf, reduced, seenPart } from "./attention-overlay.ts";
import { howToRead, leadOf, imageSection } from "./attention-page.ts";
import type { HeadMap, Selection } from "./attention-selection.ts";
import { answer, percent, selected } from "./attention-selection.ts";
import { drawSheet } from "./attention-sheet.ts";
import type { AttentionSource, ImageAttention, TokenMaps } from "./attention.ts";

export interface AttentionFiles {
  /** Draws an image's maps. @returns the names of its files @throws DataError when the folder cannot be made */
  add(maps: ImageAttention, source: AttentionSource): Promise<string[]>;
  /** Ends the page and the numbers of all images so far and puts them in their places. @returns the page's path */
  finish(source: AttentionSource, command: string): Promise<string>;
  /** Removes a page that was not finished. */
  discard(): Promise<void>;
}

/** What is written besides images. */
interface Written {
  readonly page: GrowingFile;
  readonly json: GrowingFile;
  readonly table: GrowingFile;
}

/** Images at most so large: in the sheets of heads and of tokens. */
const CELL = { width: 150, height: 150 } as const;
const BESIDE = { width: 480, height: 400 } as const;
/** Of light parts of a map, in words. */
const SCALE = ["least", "most of the map"] as const;

/** The folder is made with the first image. */
export function attentionFiles(folder: string, selection: Selection = {}): AttentionFiles {
  const taken = new Set<string>();
  let opened: Written | undefined;
  let images = 0;
  const begin = async (source: AttentionSource): Promise<Written> => {
    await makeFolder(folder, { what: "the analysis" });
    const open = async (name: string): Promise<GrowingFile> =>
      openGrowingFile(join(folder, name), { what: name });
    opened = {
      page: await open("index.html"),
      json: await open("attention.json"),
      table: await open("attention.csv"),
    };
    await opened.page.write(frameOf(source)[0]);
    await opened.page.write(sectionText({ title: "How to read the maps", body: howToRead() }));
    await opened.json.write(`${JSON.stringify(source).slice(0, -1)},\n"images": [`);
    await opened.table.write(csv([NUMBERS_HEAD]));
    return opened;
  };
  return {
    async add(maps, source) {
      const { page, json, table } = opened ?? (await begin(source));
      const name = freeName(maps.image, taken);
      const written: string[] = [];
      const write = async (file: string, bytes: Uint8Array): Promise<void> => {
        await writeFileAtomic(join(folder, file), bytes, { what: file });
        written.push(file);
      };
      const rolled = rangeOf(maps.tokens.map(({ rollout }) => rollout));
      const { grid } = source;
      for (const tokenMaps of maps.tokens) {
        const { token, rollout } = tokenMaps;
        const drawn = overlay(maps.pixels, rollout, { seen: maps.seen, grid, range: rolled });
        await write(`${name}-rollout-${token}.png`, await pngOf(drawn));
        for (const { map, layer, head } of named(tokenMaps, source, selection)) {
          const range = rangeOf([map]);
          const pixels = overlay(maps.pixels, map, { seen: maps.seen, grid, range });
          await write(`${name}-layer${layer}-head${head}-${token}.png`, await pngOf(pixels));
        }
      }
      await write(`${name}-tokens.png`, await tokenSheet(maps, source));
      for (const tokenMaps of maps.tokens)
        await write(
          `${name}-heads-${tokenMaps.token}.png`,
          await headSheet(maps, tokenMaps, { source, selection }),
        );
      await page.write(sectionText(await imageSection(maps, source, selection)));
      const numbers = attentionNumbers(maps, source, selection);
      await json.write(`${images++ > 0 ? "," : ""}\n${JSON.stringify({ ...numbers, files: written })}`);
      await table.write(csv(numbersRows(numbers)));
      return written;
    },
    async finish(source, command) {
      const { page, json, table } = opened ?? (await begin(source));
      await page.write(frameOf(source, command)[1]);
      await json.write("\n]}\n");
      for (const file of [json, table, page]) await file.commit();
      opened = undefined;
      return join(folder, "index.html");
    },
    async discard() {
      for (const file of Object.values(opened ?? {})) await file.discard();
    },
  };
}

function frameOf(source: AttentionSource, command?: string): [before: string, after: string] {
  return aroundSections({
    kind: "Attention",
    title: `What ${source.model} looks at`,
    lead: leadOf(source),
    ...(command !== undefined && { command }),
  });
}

/** A file's name without ending, with a number where images of several folders have one name. */
function freeName(image: string, taken: Set<string>): string {
  const base = basename(image, extname(image)) || "image";
  let name = base;
  for (let i = 2; taken.has(name); i++) name = `${base}-${i}`;
  taken.add(name);
  return name;
}

/** Those that are files of their own: none while neither layer nor head is named. */
function named(maps: TokenMaps, source: AttentionSource, selection: Selection): HeadMap[] {
  const asked = selection.layers !== undefined || selection.heads !== undefined;
  return asked ? selected(maps, source, selection).flat() : [];
}

async function tokenSheet(
  { pixels, seen, tokens, image }: ImageAttention,
  { grid, model, headFusion, discardRatio }: AttentionSource,
): Promise<Uint8Array> {
  const small = reduced(pixels, seen, BESIDE);
  const range = rangeOf(tokens.map(({ rollout }) => rollout));
  return drawSheet({
    title: tokens.length === 1 ? "Attention rollout" : "Attention rollout of both tokens",
    subtitle: `${model} · ${basename(image)} · heads by their ${headFusion}${discardRatio > 0 ? `, smallest ${percent(discardRatio)} left out` : ""}`,
    columns: [
      ["image", " "],
      ...tokens.map(({ token, prediction }) => [`${token} token`, answer(prediction)] as const),
    ],
    rows: [""],
    cells: [
      [
        small.pixels,
        ...tokens.map(({ rollout }) => overlay(small.pixels, rollout, { seen: small.seen, grid, range })),
      ],
    ],
    scale: SCALE,
  });
}

/** The sheet of a token's maps, heads by layers, as PNG. */
export async function headSheet(
  { pixels, seen, image }: ImageAttention,
  maps: TokenMaps,
  { source, selection, theme }: { source: AttentionSource; selection: Selection; theme?: Theme },
): Promise<Uint8Array> {
  const rows = selected(maps, source, selection);
  const part = seenPart(pixels, seen);
  const small = reduced(part.pixels, part.seen, CELL);
  const draw = ({ map }: HeadMap): RgbImage =>
    overlay(small.pixels, map, { seen: small.seen, grid: source.grid, range: rangeOf([map]) });
  return drawSheet(
    {
      title: `What the ${maps.token} token looks at`,
      subtitle: `${source.model} · ${basename(image)} · each head by layer`,
      columns: (rows[0] ?? []).map(({ layer }) => [`layer ${layer}`]),
      rows: rows.map((row) => `head ${row[0]?.head ?? ""}`),
      cells: rows.map((row) => row.map(draw)),
      pixels: reduced(part.pixels, part.seen, BESIDE).pixels,
      scale: SCALE,
    },
    theme,
  );
}

async function pngOf(pixels: RgbImage): Promise<Uint8Array> {
  return sharp(pixels.data, { raw: { width: pixels.width, height: pixels.height, channels: 3 } })
    .png()
    .toBuffer();
}
