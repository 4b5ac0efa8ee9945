// Classifies the images that are sent to it: node classify-server.ts MODEL [PORT]
//   curl --data-binary @cat.jpg localhost:8000
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { buffer } from "node:stream/consumers";
import { DeitError, openClassifier } from "deit-ts";

const [model = "runs/photos", port = "8000"] = process.argv.slice(2);
const classifier = await openClassifier(model); // a run, a file, a Hub id, or deit_tiny_patch16_224
await classifier.load(); // so that the first request does not wait for it

const server = createServer(async (request, response) => {
  const send = (status: number, value: unknown): void => {
    response.writeHead(status, { "content-type": "application/json" }).end(`${JSON.stringify(value)}\n`);
  };
  try {
    send(200, await classifier.classify(await buffer(request), { topk: 3 }));
  } catch (error) {
    if (error instanceof DeitError) send(400, { code: error.code, message: error.message });
    else send(500, { message: "the server failed" });
  }
});
server.listen(Number(port), () => {
  const address = server.address() as AddressInfo;
  console.log(`${classifier.name}, ${classifier.numClasses} classes: http://localhost:${address.port}`);
});
