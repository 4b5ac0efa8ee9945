/**
 * Pictures of the page for the README, with the page's own model and images that are drawn here:
 *
 *   npx node --conditions=deit-source packages/web/scripts/screenshots.ts [FOLDER]   default: docs/figures
 */
import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import sharp from "sharp";
import type { Random } from "deit-ts/web";
import { createRandom } from "deit-ts/web";
import { serveStatic } from "../serve.ts";
import { buildPage, openPage, teach } from "../tests/page.ts";

const IMAGES = 16; // of each class
const [WIDTH, HEIGHT] = [960, 640];
const FIGURES = fileURLToPath(new URL("../../../docs/figures", import.meta.url));

/** Each kind as SVG around the origin, about 200 wide, from a hue of its own range. */
const KINDS: Readonly<Record<string, (random: Random) => string>> = {
  apple: (random) => {
    const hue = random.uniform(0, 1) < 0.75 ? random.uniform(-8, 14) : random.uniform(75, 95);
    return `<path d="M0-62C-30-92-98-78-98-8S-46 96-20 92Q0 86 20 92C46 96 98 62 98-8S30-92 0-62Z" fill="url(#f)"/>
      <path d="M0-60Q-2-92 16-112" stroke="#5a3d22" stroke-width="9" fill="none" stroke-linecap="round"/>
      <path d="M8-86Q34-122 72-108Q56-74 8-86Z" fill="#5f9a3c"/>${shade(hue, 68, 46)}`;
  },
  banana: (random) =>
    `<path d="M-104-52C-84 44 6 96 106 52C112 48 110 36 102 36C30 48-40 12-78-62C-84-72-108-68-104-52Z" fill="url(#f)"/>
     <path d="M-104-52L-96-74L-78-62Z" fill="#6b5526"/>${shade(random.uniform(44, 54), 88, 58)}`,
  pear: (random) =>
    `<path d="M0-98C-34-98-36-58-44-30S-88 10-84 50S-38 104 0 104S80 90 84 50S52-2 44-30S34-98 0-98Z" fill="url(#f)"/>
     <path d="M0-96Q2-118 18-128" stroke="#5a3d22" stroke-width="9" fill="none" stroke-linecap="round"/>${shade(random.uniform(62, 86), 55, 52)}`,
};

/** The filling, lit from above left. */
function shade(hue: number, saturation: number, light: number): string {
  const colour = (l: number): string => `hsl(${hue} ${saturation}% ${l}%)`;
  return `<defs><radialGradient id="f" cx="36%" cy="30%" r="80%"><stop offset="0" stop-color="${colour(light + 18)}"/>
    <stop offset=".55" stop-color="${colour(light)}"/><stop offset="1" stop-color="${colour(light - 20)}"/></radialGradient></defs>`;
}

/** One fruit on a table. */
async function photo(kind: string, index: number): Promise<Buffer> {
  const random = createRandom(index, kind);
  const [wall, table] = [random.uniform(0, 360), random.uniform(18, 42)];
  const edge = random.uniform(110, 190);
  const [x, y] = [random.uniform(110, 210), random.uniform(150, 200)];
  const [angle, scale] = [random.uniform(-24, 24), random.uniform(0.72, 1.05)];
  const svg = `<svg xmlns="http://www.w3.org/2000/svg" width="320" height="320">
    <rect width="320" height="320" fill="hsl(${wall} 16% ${random.uniform(68, 88)}%)"/>
    <rect y="${edge}" width="320" height="320" fill="hsl(${table} 34% ${random.uniform(48, 66)}%)"/>
    <ellipse cx="${x + 14}" cy="${y + 92 * scale}" rx="${100 * scale}" ry="${22 * scale}" fill="#000" opacity=".22"/>
    <g transform="translate(${x} ${y}) rotate(${angle}) scale(${scale})">${KINDS[kind]?.(random) ?? ""}</g></svg>`;
  return sharp(Buffer.from(svg)).blur(0.8).jpeg({ quality: 88 }).toBuffer();
}

const folder = process.argv[2] ?? FIGURES;
const root = await mkdtemp(join(tmpdir(), "deit-screenshots-"));
for (const kind of Object.keys(KINDS)) {
  await mkdir(join(root, "fruit", kind), { recursive: true });
  for (let i = 0; i < IMAGES; i++)
    await writeFile(join(root, "fruit", kind, `${i}.jpg`), await photo(kind, i));
}
const asked = join(root, "pear.jpg");
await writeFile(asked, await photo("pear", 1000));
const built = await buildPage();
{
  await using server = await serveStatic(built.folder);
  await using opened = await openPage(server.url, {
    viewport: { width: WIDTH, height: HEIGHT },
    deviceScaleFactor: 1.5,
    colorScheme: "light",
  });
  const { page } = opened;
  const save = async (name: string): Promise<void> => {
    await page.waitForTimeout(500);
    const png = await page.screenshot();
    await sharp(png)
      .webp({ quality: 82 })
      .toFile(join(folder, `page-${name}.webp`));
  };
  console.log(await teach(page, join(root, "fruit")));
  await save("teach");
  await page.click('a[data-view="try"]');
  await page.setInputFiles("input.pick-try", asked);
  await page.waitForSelector(".answers .heads");
  await save("try");
  await page.click('a[data-view="understand"]');
  await page.waitForSelector(".losses .loss");
  await save("understand");
}
await built.remove();
await rm(root, { recursive: true, force: true });
