/**
 * What `deit analyze attention` writes: maps over the whole picture as PNG, sheets of heads and layers and of the tokens
 * beside each other, and one page with all of it.
 */
import { mkdir, writeFile } from "node:fs/promises";
import { basename, extname, join } from "node:path";
import sharp from "sharp";
import type { Picture } from "../augmentation/picture.ts";
import { DataError } from "../errors.ts";
import { cssColour } from "../figures/colour-map.ts";
import { Html, html } from "../figures/html.ts";
import type { PageSection } from "../figures/page.ts";
import { embeddedPicture, figurePage } from "../figures/page.ts";
import { THEMES } from "../figures/palette.ts";
import { overlay, rangeOf, reduced, seenPart } from "./attention-overlay.ts";
import { drawSheet } from "./attention-sheet.ts";
import type { AttentionSource, PictureAttention, TokenMaps } from "./attention.ts";

/** Which layers and heads, from 1; undefined for all. Their maps are files of their own where either is named. */
export interface Selection {
  readonly layers?: readonly number[] | undefined;
  readonly heads?: readonly number[] | undefined;
}

export interface AttentionFiles {
  /** Draws a picture's maps. @returns the names of its files @throws DataError when the folder cannot be made */
  add(maps: PictureAttention, source: AttentionSource): Promise<string[]>;
  /** Writes the page of all pictures so far. @returns its path */
  finish(source: AttentionSource, command: string): Promise<string>;
}

/** Pictures at most so large: in the sheets of heads and of tokens, in the page's grid, in the page above it. */
const CELL = { width: 150, height: 150 } as const;
const BESIDE = { width: 480, height: 400 } as const;
const THUMBNAIL = { width: 200, height: 200 } as const;
const LARGE = { width: 960, height: 720 } as const;
/** Of light parts of a map, in words. */
const SCALE = ["least", "most of the map"] as const;

/** The folder is made with the first picture. */
export function attentionFiles(folder: string, selection: Selection = {}): AttentionFiles {
  const taken = new Set<string>();
  const sections: PageSection[] = [];
  return {
    async add(maps, source) {
      await makeFolder(folder);
      const name = freeName(maps.image, taken);
      const written: string[] = [];
      const write = async (file: string, bytes: Uint8Array): Promise<void> => {
        await writeFile(join(folder, file), bytes);
        written.push(file);
      };
      const rolled = rangeOf(maps.tokens.map(({ rollout }) => rollout));
      const { grid } = source;
      for (const tokenMaps of maps.tokens) {
        const { token, rollout } = tokenMaps;
        const drawn = overlay(maps.picture, rollout, { seen: maps.seen, grid, range: rolled });
        await write(`${name}-rollout-${token}.png`, await pngOf(drawn));
        for (const { map, layer, head } of named(tokenMaps, source, selection)) {
          const range = rangeOf([map]);
          const picture = overlay(maps.picture, map, { seen: maps.seen, grid, range });
          await write(`${name}-layer${layer}-head${head}-${token}.png`, await pngOf(picture));
        }
      }
      for (const theme of THEMES) {
        const ending = theme === "light" ? "" : `-${theme}`;
        await write(`${name}-tokens${ending}.png`, await tokenSheet(maps, source, theme));
        for (const tokenMaps of maps.tokens) {
          const sheet = await headSheet(maps, tokenMaps, { source, selection, theme });
          await write(`${name}-heads-${tokenMaps.token}${ending}.png`, sheet);
        }
      }
      sections.push(await pictureSection(maps, source, selection));
      return written;
    },
    async finish(source, command) {
      const page = await figurePage({
        kind: "Attention",
        title: `What ${source.model} looks at`,
        lead: leadOf(source),
        sections: [{ title: "How to read the maps", body: howToRead() }, ...sections],
        command,
      });
      const file = join(folder, "index.html");
      await writeFile(file, page);
      return file;
    },
  };
}

/** @throws DataError when it cannot be made */
async function makeFolder(folder: string): Promise<void> {
  await mkdir(folder, { recursive: true }).catch((cause: unknown) => {
    throw new DataError(folder, `${folder} cannot be made a folder`, {
      hint: "Name another with --out.",
      cause,
    });
  });
}

/** A file's name without ending, with a number where pictures of several folders have one name. */
function freeName(image: string, taken: Set<string>): string {
  const base = basename(image, extname(image)) || "picture";
  let name = base;
  for (let i = 2; taken.has(name); i++) name = `${base}-${i}`;
  taken.add(name);
  return name;
}

interface HeadMap {
  readonly map: Float32Array;
  readonly layer: number;
  readonly head: number;
}

/** Maps of the selected layers and heads, head by head. */
function selected({ heads }: TokenMaps, source: AttentionSource, selection: Selection): HeadMap[][] {
  const { layers, heads: wanted } = chosen(source, selection);
  return wanted.map((head) =>
    layers.map((layer) => ({
      layer,
      head,
      map: heads[layer - 1]?.[head - 1] ?? new Float32Array(source.grid[0] * source.grid[1]),
    })),
  );
}

function chosen(
  { layers, headsPerLayer }: AttentionSource,
  selection: Selection,
): { layers: readonly number[]; heads: readonly number[] } {
  const all = (count: number): number[] => Array.from({ length: count }, (_, i) => i + 1);
  return { layers: selection.layers ?? all(layers), heads: selection.heads ?? all(headsPerLayer) };
}

/** Those that are files of their own: none while neither layer nor head is named. */
function named(maps: TokenMaps, source: AttentionSource, selection: Selection): HeadMap[] {
  const asked = selection.layers !== undefined || selection.heads !== undefined;
  return asked ? selected(maps, source, selection).flat() : [];
}

async function tokenSheet(
  { picture, seen, tokens, image }: PictureAttention,
  { grid, model, headFusion, discardRatio }: AttentionSource,
  theme: (typeof THEMES)[number],
): Promise<Uint8Array> {
  const small = reduced(picture, seen, BESIDE);
  const range = rangeOf(tokens.map(({ rollout }) => rollout));
  return drawSheet(
    {
      title: tokens.length === 1 ? "Attention rollout" : "Attention rollout of both tokens",
      subtitle: `${model} · ${basename(image)} · heads by their ${headFusion}${discardRatio > 0 ? `, smallest ${percent(discardRatio)} left out` : ""}`,
      columns: [
        ["picture", " "],
        ...tokens.map(({ token, prediction }) => [`${token} token`, answer(prediction)] as const),
      ],
      rows: [""],
      cells: [
        [
          small.picture,
          ...tokens.map(({ rollout }) => overlay(small.picture, rollout, { seen: small.seen, grid, range })),
        ],
      ],
      scale: SCALE,
    },
    theme,
  );
}

/** The sheet of a token's maps, heads by layers, as PNG. */
export async function headSheet(
  { picture, seen, image }: PictureAttention,
  maps: TokenMaps,
  {
    source,
    selection,
    theme,
  }: { source: AttentionSource; selection: Selection; theme: (typeof THEMES)[number] },
): Promise<Uint8Array> {
  const rows = selected(maps, source, selection);
  const part = seenPart(picture, seen);
  const small = reduced(part.picture, part.seen, CELL);
  const draw = ({ map }: HeadMap): Picture =>
    overlay(small.picture, map, { seen: small.seen, grid: source.grid, range: rangeOf([map]) });
  return drawSheet(
    {
      title: `What the ${maps.token} token looks at`,
      subtitle: `${source.model} · ${basename(image)} · each head by layer`,
      columns: (rows[0] ?? []).map(({ layer }) => [`layer ${layer}`]),
      rows: rows.map((row) => `head ${row[0]?.head ?? ""}`),
      cells: rows.map((row) => row.map(draw)),
      picture: reduced(part.picture, part.seen, BESIDE).picture,
      scale: SCALE,
    },
    theme,
  );
}

function answer({ label, score }: { label: string; score: number }): string {
  return `${label}, ${percent(score)}`;
}

function percent(share: number): string {
  return `${(100 * share).toFixed(share < 0.1 ? 1 : 0)} %`;
}

async function pngOf(picture: Picture): Promise<Uint8Array> {
  return sharp(picture.data, { raw: { width: picture.width, height: picture.height, channels: 3 } })
    .png()
    .toBuffer();
}

async function jpegOf(picture: Picture): Promise<Uint8Array> {
  return sharp(picture.data, { raw: { width: picture.width, height: picture.height, channels: 3 } })
    .jpeg({ quality: 82, mozjpeg: true })
    .toBuffer();
}

// The page.

function leadOf({
  inputSize,
  grid,
  layers,
  headsPerLayer,
  tokens,
  headFusion,
  discardRatio,
}: AttentionSource): string {
  const size = `It sees ${inputSize[1]} × ${inputSize[0]} pixels as ${grid[1]} × ${grid[0]} patches, through ${layers} layers of ${headsPerLayer} heads.`;
  const who =
    tokens.length === 2
      ? "Its class and distillation token ask the patches, each for a head of its own."
      : "It has a class token alone: no distillation token to set beside it.";
  const how = `Rollout takes the ${headFusion} of the heads${discardRatio > 0 ? ` without the smallest ${percent(discardRatio)} of it` : ""}.`;
  return `${size} ${who} ${how}`;
}

function howToRead(): Html {
  const stops = Array.from({ length: 9 }, (_, i) => cssColour(i / 8)).join(", ");
  return html`${new Html(STYLE)}
    <p class="lead">
      A map is where a token's attention goes among the patches, enlarged smoothly. Colours run
      <span class="attention-scale" style="background: linear-gradient(90deg, ${stops})"></span> from the
      least to the most of each map (its topmost hundredth is one colour); the rollouts of both tokens share
      one scale. Grey is what the model was not shown. Rollout multiplies the layers' attention, each half and
      half with its input: what of the picture could have reached the token. It is no proof of what the answer
      depends on.
    </p>`;
}

/** The grid of heads scrolls sideways on a phone; a picture under the pointer grows. */
const STYLE = `<style>
.attention-scale { display: inline-block; width: 120px; height: 10px; border-radius: 3px; vertical-align: baseline; }
.attention-large { display: grid; gap: 12px; grid-template-columns: repeat(auto-fit, minmax(min(100%, 280px), 1fr)); }
.attention-large img { display: block; max-width: 100%; max-height: 560px; border-radius: 8px; }
.attention-large figcaption { font-size: 13px; margin-top: 6px; overflow-wrap: anywhere; }
.attention-grid { width: 100%; border-collapse: separate; border-spacing: 4px; }
.attention-grid th, .attention-grid td { border: 0; padding: 0; white-space: nowrap; }
.attention-grid tbody th { padding-right: 6px; vertical-align: middle; }
.attention-grid img { display: block; width: 100%; min-width: 64px; max-width: 160px; height: auto; border-radius: 4px; transition: transform .12s; }
.attention-grid td:hover img { transform: scale(2.2); position: relative; z-index: 1; box-shadow: 0 4px 16px rgb(0 0 0 / .4); }
.attention-grid td:first-of-type:hover img { transform-origin: left center; }
.attention-grid td:last-of-type:hover img { transform-origin: right center; }
</style>`;

async function pictureSection(
  { picture, seen, tokens, image }: PictureAttention,
  source: AttentionSource,
  selection: Selection,
): Promise<PageSection> {
  const large = reduced(picture, seen, LARGE);
  const { grid } = source;
  const range = rangeOf(tokens.map(({ rollout }) => rollout));
  const name = basename(image);
  const figures = [
    html`<figure>
      ${embeddedPicture(await jpegOf(large.picture), "jpeg", name)}
      <figcaption>
        <b>picture</b><br /><span class="muted">${picture.width} × ${picture.height}</span>
      </figcaption>
    </figure>`,
  ];
  for (const { token, rollout, prediction } of tokens) {
    const drawn = overlay(large.picture, rollout, { seen: large.seen, grid, range });
    figures.push(
      html`<figure>
        ${embeddedPicture(await jpegOf(drawn), "jpeg", `rollout of the ${token} token`)}
        <figcaption>
          <b>${token} token, all layers</b><br /><span class="muted">answers ${answer(prediction)}</span>
        </figcaption>
      </figure>`,
    );
  }
  const grids: Html[] = [];
  for (const maps of tokens) grids.push(await headGrid({ picture, seen }, maps, { source, selection }));
  return {
    title: name,
    body: html`<div class="attention-large">${figures}</div>
      ${grids}`,
  };
}

async function headGrid(
  { picture, seen }: Pick<PictureAttention, "picture" | "seen">,
  maps: TokenMaps,
  { source, selection }: { source: AttentionSource; selection: Selection },
): Promise<Html> {
  const rows = selected(maps, source, selection);
  const part = seenPart(picture, seen);
  const small = reduced(part.picture, part.seen, THUMBNAIL);
  const drawn: Html[] = [];
  for (const row of rows) {
    const cells: Html[] = [];
    for (const { map, layer, head } of row) {
      const range = rangeOf([map]);
      const cell = overlay(small.picture, map, { seen: small.seen, grid: source.grid, range });
      const alt = `layer ${layer}, head ${head}`;
      const patches = map.reduce((sum, value) => sum + value, 0);
      cells.push(
        html`<td title="${alt}: ${percent(patches)} of its attention is on patches">
          ${embeddedPicture(await jpegOf(cell), "jpeg", alt)}
        </td>`,
      );
    }
    drawn.push(
      html`<tr>
        <th scope="row">head ${row[0]?.head}</th>
        ${cells}
      </tr>`,
    );
  }
  return html`<h3 style="margin-top: 20px">The ${maps.token} token, head by head</h3>
    <div class="scroll">
      <table class="attention-grid">
        <thead>
          <tr>
            <th></th>
            ${(rows[0] ?? []).map(({ layer }) => html`<th scope="col">layer ${layer}</th>`)}
          </tr>
        </thead>
        <tbody>
          ${drawn}
        </tbody>
      </table>
    </div>`;
}
