/** The page of `deit analyze attention`: how to read it, and a section for each image. */
import { basename } from "node:path";
import sharp from "sharp";
import { Html, cssColour, embeddedImage, html } from "deit-ts/charts";
import type { PageSection } from "deit-ts/charts";
import type { RgbImage } from "deit-ts/data";
import { overlay, rangeOf, reduced, seenPart } from "./attention-overlay.ts";
import type { Selection } from "./attention-selection.ts";
import { answer, percent, selected } from "./attention-selection.ts";
import type { AttentionSource, ImageAttention, TokenMaps } from "./attention.ts";

/** Images at most so large: in the grid of heads, above it. */
const THUMBNAIL = { width: 200, height: 200 } as const;
const LARGE = { width: 960, height: 720 } as const;

/** What the model is, in sentences. */
export function leadOf({
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
      ? "The class token and the distillation token attend to the patches, each for a head of its own."
      : "It has only a class token, no distillation token to compare with.";
  const how = `Rollout takes the ${headFusion} of the heads${discardRatio > 0 ? ` without the smallest ${percent(discardRatio)} of it` : ""}.`;
  return `${size} ${who} ${how}`;
}

/** What colours and rollout mean. */
export function howToRead(): Html {
  const stops = Array.from({ length: 9 }, (_, i) => cssColour(i / 8)).join(", ");
  return html`${new Html(STYLE)}
    <p class="lead">
      A map is where a token's attention goes among the patches, enlarged smoothly. Colours run
      <span class="attention-scale" style="background: linear-gradient(90deg, ${stops})"></span> from the
      least to the most of each map (its topmost hundredth is one colour); the rollouts of both tokens share
      one scale. Grey is what the model was not shown. Rollout multiplies the layers' attention, each half and
      half with its input: what of the image could have reached the token. It is not proof of what the answer
      depends on.
    </p>`;
}

/** The grid of heads scrolls sideways on a phone; an image under the pointer grows. */
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

/** An image with its rollouts and the maps of its heads. */
export async function imageSection(
  { pixels, seen, tokens, image }: ImageAttention,
  source: AttentionSource,
  selection: Selection,
): Promise<PageSection> {
  const large = reduced(pixels, seen, LARGE);
  const { grid } = source;
  const range = rangeOf(tokens.map(({ rollout }) => rollout));
  const name = basename(image);
  const figures = [
    html`<figure>
      ${embeddedImage(await jpegOf(large.pixels), "jpeg", { alt: name })}
      <figcaption><b>image</b><br /><span class="muted">${pixels.width} × ${pixels.height}</span></figcaption>
    </figure>`,
  ];
  for (const { token, rollout, prediction } of tokens) {
    const drawn = overlay(large.pixels, rollout, { seen: large.seen, grid, range });
    figures.push(
      html`<figure>
        ${embeddedImage(await jpegOf(drawn), "jpeg", { alt: `rollout of the ${token} token` })}
        <figcaption>
          <b>${token} token, all layers</b><br /><span class="muted">predicts ${answer(prediction)}</span>
        </figcaption>
      </figure>`,
    );
  }
  const grids: Html[] = [];
  for (const maps of tokens) grids.push(await headGrid({ pixels, seen }, maps, { source, selection }));
  return {
    title: name,
    body: html`<div class="attention-large">${figures}</div>
      ${grids}`,
  };
}

async function headGrid(
  { pixels, seen }: Pick<ImageAttention, "pixels" | "seen">,
  maps: TokenMaps,
  { source, selection }: { source: AttentionSource; selection: Selection },
): Promise<Html> {
  const rows = selected(maps, source, selection);
  const part = seenPart(pixels, seen);
  const small = reduced(part.pixels, part.seen, THUMBNAIL);
  const drawn: Html[] = [];
  for (const row of rows) {
    const cells: Html[] = [];
    for (const { map, layer, head } of row) {
      const range = rangeOf([map]);
      const cell = overlay(small.pixels, map, { seen: small.seen, grid: source.grid, range });
      const alt = `layer ${layer}, head ${head}`;
      const patches = map.reduce((sum, value) => sum + value, 0);
      cells.push(
        html`<td title="${alt}: ${percent(patches)} of its attention is on patches">
          ${embeddedImage(await jpegOf(cell), "jpeg", { alt })}
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

async function jpegOf(pixels: RgbImage): Promise<Uint8Array> {
  return sharp(pixels.data, { raw: { width: pixels.width, height: pixels.height, channels: 3 } })
    .jpeg({ quality: 82, mozjpeg: true })
    .toBuffer();
}
