/** What a server counts, in Prometheus's text format. */
import { collectDefaultMetrics, Counter, Gauge, Histogram, Registry } from "prom-client";

type ModelLabels = "model" | "version";

export interface ServerMetrics {
  readonly registry: Registry;
  readonly requests: Counter<"route" | "status">;
  readonly requestSeconds: Histogram<"route">;
  readonly images: Counter<ModelLabels>;
  readonly batchImages: Histogram<ModelLabels>;
  readonly batchSeconds: Histogram<ModelLabels>;
  readonly reloads: Counter<ModelLabels | "result">;
}

const SECONDS = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30];

/** `watch`: what is read when the numbers are asked for. */
export function serverMetrics(watch: {
  readonly accepted: () => number;
  readonly undecoded: () => number;
  readonly uncomputed: () => number;
}): ServerMetrics {
  const registry = new Registry();
  const registers = [registry];
  collectDefaultMetrics({ register: registry });
  const gauge = (name: string, help: string, read: () => number): void =>
    void new Gauge({ name, help, registers, collect() { this.set(read()); } }); // prettier-ignore
  gauge(
    "deit_requests_accepted",
    "Requests that are being worked on, of at most --max-queue.",
    watch.accepted,
  );
  gauge("deit_images_undecoded", "Images that wait for a thread that decodes.", watch.undecoded);
  gauge("deit_images_uncomputed", "Decoded images that wait for the model.", watch.uncomputed);
  const ofModel = ["model", "version"] as const;
  return {
    registry,
    requests: new Counter({
      name: "deit_requests_total",
      help: "Requests that were completed.",
      labelNames: ["route", "status"],
      registers,
    }),
    requestSeconds: new Histogram({
      name: "deit_request_seconds",
      help: "From a request's first byte to the last byte of its response.",
      labelNames: ["route"],
      buckets: SECONDS,
      registers,
    }),
    images: new Counter({
      name: "deit_images_total",
      help: "Images that the model classified.",
      labelNames: ofModel,
      registers,
    }),
    batchImages: new Histogram({
      name: "deit_batch_images",
      help: "Images in a batch.",
      labelNames: ofModel,
      buckets: [1, 2, 4, 8, 16, 32, 64, 128],
      registers,
    }),
    batchSeconds: new Histogram({
      name: "deit_batch_seconds",
      help: "Time of the model for a batch.",
      labelNames: ofModel,
      buckets: SECONDS,
      registers,
    }),
    reloads: new Counter({
      name: "deit_model_loads_total",
      help: "Times that a model was loaded, or could not be.",
      labelNames: [...ofModel, "result"],
      registers,
    }),
  };
}
