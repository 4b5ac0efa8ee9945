// A model of `deit export` in transformers.js, from a folder on this machine and nothing else:
//   node examples/transformers-js.mjs FOLDER PICTURE…
import { resolve } from "node:path";
import { env, pipeline } from "@huggingface/transformers";

const [folder, ...pictures] = process.argv.slice(2);
env.allowRemoteModels = false;
const classify = await pipeline("image-classification", resolve(folder), { dtype: "fp32" });
for (const picture of pictures) {
  const [best] = await classify(picture, { top_k: 1 });
  console.log(`${picture}: ${(100 * best.score).toFixed(2)} % ${best.label}`);
}
