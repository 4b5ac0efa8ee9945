/** Pulls a small dataset from a server on this machine, as `deit data pull` does: node pull-child.ts URL MD5 CACHE */
import { pullRecipe } from "../../src/data/download/download-dataset.ts";
import { archiveOrigin } from "../../src/data/download/origins.ts";

const [url = "", md5 = "", cacheDir = ""] = process.argv.slice(2);
await pullRecipe(
  {
    name: "cifar10",
    files: { "a.bin": 1_000_000, "b.bin": 3 },
    origins: [archiveOrigin({ url, md5, files: ["a.bin", "b.bin"] })],
    archive: "data.tar.gz",
    space: 1e6,
  },
  { cacheDir },
);
