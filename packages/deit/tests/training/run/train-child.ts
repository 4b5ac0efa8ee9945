/** Training in a process of its own, killed by resume.slow.test.ts: prints a line when the first step is about to come. */
import type { TrainOptions } from "../../../src/config/schema.ts";
import { train } from "../photos.ts";

await train(JSON.parse(process.argv[2] ?? "") as TrainOptions, {
  onEvent: ({ type }) => {
    if (type === "start") process.stdout.write("started\n");
  },
});
