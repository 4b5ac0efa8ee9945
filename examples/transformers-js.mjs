// A model of `deit export` in transformers.js, from a folder on this machine and nothing else:
//   node examples/transformers-js.mjs FOLDER IMAGE…
import { resolve } from "node:path";
import { env, pipeline } from "@huggingface/transformers";

const [folder, ...images] = process.argv.slice(2);
env.allowRemoteModels = false;
const classify = await pipeline("image-classification", resolve(folder), { dtype: "fp32" });
for (const image of images) {
  const [best] = await classify(image, { top_k: 1 });
  console.log(`${image}: ${(100 * best.score).toFixed(2)} % ${best.label}`);
}
