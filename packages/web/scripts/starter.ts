/**
 * Makes public/starter.safetensors, the small model that comes with the page, of a run or a file of weights: float16, at most 3 MB.
 *
 *   npx node packages/web/scripts/starter.ts runs/quickstart/last.safetensors
 */
import { readFile, writeFile } from "node:fs/promises";
import { fileURLToPath } from "node:url";
import { modelInMemory, serializeSafetensors, parseSafetensors } from "deit-ts/web";

const MOST_BYTES = 3e6;
const OUT = fileURLToPath(new URL("../public/starter.safetensors", import.meta.url));

const [path] = process.argv.slice(2);
if (path === undefined) throw new Error("name a file of weights: a run's last.safetensors");
const bytes = new Uint8Array(await readFile(path));
const { model, tensors } = await modelInMemory(bytes, { name: path });
const half = new Map(
  [...tensors].map(([name, { shape, data }]) => [
    name,
    { dtype: "F16" as const, shape, data: new Uint8Array(Float16Array.from(data).buffer) },
  ]),
);
const written = serializeSafetensors({ tensors: half, metadata: parseSafetensors(bytes).metadata });
if (written.length > MOST_BYTES)
  throw new Error(
    `${model.name} has ${written.length} bytes as float16; at most ${MOST_BYTES} come with the page`,
  );
await writeFile(OUT, written);
console.log(`${OUT}: ${model.name}, ${written.length} bytes`);
