/** Fine-tuning as the page goes about it: begun, paused, gone on with, and what it leaves behind. */
import type { TrainEvent } from "deit-ts/web";
import type { App } from "./app.ts";
import type { EngineApi } from "./engine/engine.worker.ts";
import { hasWebgpu } from "./engine/has-webgpu.ts";
import type { Remote } from "./engine/rpc.ts";
import type { EpochPoint, Progress, RunRecord } from "./state/improvement.ts";
import { IDLE } from "./state/improvement.ts";
import type { StartingModel } from "./state/models.ts";
import type { Storage } from "./state/storage.ts";
import { TEXT } from "./texts.ts";

/** Folder of the run. */
const RUN = "run";

export class Improving {
  progress: Progress = IDLE;
  private readonly app: App;
  private readonly parts: { readonly call: Remote<EngineApi>; storage(): Storage | undefined };
  private previous: StartingModel | undefined;

  constructor(app: App, parts: { readonly call: Remote<EngineApi>; storage(): Storage | undefined }) {
    this.app = app;
    this.parts = parts;
  }

  /** A run that was begun and not finished, with its curve so far. */
  async find(): Promise<void> {
    const about = await this.parts.storage()?.read(`${RUN}/about.json`);
    if (about === undefined) return;
    const record = JSON.parse(await about.text()) as RunRecord;
    const log = await this.parts.storage()?.read(`${RUN}/log.jsonl`);
    const lines = (await log?.text())?.split("\n").filter(Boolean) ?? [];
    const points = lines.map((line): EpochPoint => {
      const { epoch, train_loss, test_loss, test_acc1 } = JSON.parse(line) as Record<string, number>;
      return {
        epoch: epoch ?? 0,
        trainLoss: train_loss ?? 0,
        testLoss: test_loss ?? 0,
        acc1: test_acc1 ?? 0,
      };
    });
    this.progress = {
      ...IDLE,
      state: record.done ? "done" : "paused",
      record,
      points,
      epoch: points.length,
    };
  }

  /** Begins fine-tuning on what is taught now. */
  async begin({
    trainable,
    epochs,
    size,
  }: {
    trainable: string;
    epochs: number;
    size: number;
  }): Promise<void> {
    if (this.app.taught === undefined || this.app.model.state !== "ready") return;
    const { classes, images, seed } = this.app.project;
    const index = new Map(classes.map(({ id }, i) => [id, i]));
    const known = images.filter(({ id }) => this.app.isSeen(id));
    const rows = (held: boolean): (readonly [string, number])[] =>
      known
        .filter((image) => image.held === held)
        .map(({ id, classId }) => [id, index.get(classId) ?? 0] as const);
    const [training, held] = [rows(false), rows(true)];
    const batchSize = [16, 8, 4, 2].find((each) => training.length >= 4 * each) ?? 1;
    const record: RunRecord = {
      options: { trainable, epochs, size, batchSize, seed, classes: classes.map(({ name }) => name) },
      training,
      held: held.length > 0 ? held : training,
      before: Object.fromEntries(
        this.app.taught.judged.map(({ id, label, predicted }) => [id, label === predicted]),
      ),
      model: this.app.key,
    };
    await this.parts.storage()?.remove(RUN);
    await this.app.guard(this.parts.storage()?.write(`${RUN}/about.json`, JSON.stringify(record)));
    this.progress = { ...IDLE, state: "starting", record };
    await this.train(record);
  }

  /** Goes on with the run that was paused, or left by a reload. */
  async goOn(): Promise<void> {
    const { record } = this.progress;
    if (record === undefined) return;
    await this.app.openModel();
    await this.app.teach();
    this.progress = { ...this.progress, state: "starting" };
    await this.train(record);
  }

  async pause(): Promise<void> {
    this.progress = { ...this.progress, state: "pausing" };
    this.app.changed();
    await this.parts.call.pause();
  }

  /** Forgets the run that was paused. */
  async drop(): Promise<void> {
    await this.parts.storage()?.remove(RUN);
    this.progress = IDLE;
    this.app.changed();
  }

  private async train(record: RunRecord): Promise<void> {
    this.app.changed();
    const names = new Map(this.app.project.images.map(({ id, name }) => [id, name]));
    const lock = await navigator.wakeLock?.request("screen").catch(() => undefined);
    try {
      const load = async (rows: RunRecord["held"]): Promise<{ name: string; label: number; blob: Blob }[]> =>
        Promise.all(
          rows.map(async ([id, label]) => {
            const blob = await this.app.imageOf(id);
            if (blob === undefined) throw new Error(TEXT.better.gone);
            return { name: names.get(id) ?? id, label, blob };
          }),
        );
      const device = { device: (await hasWebgpu()) ? "webgpu" : "cpu", threads: 1 } as const;
      const bytes = await this.parts.call.improve(
        await load(record.training),
        await load(record.held),
        record.options,
        device,
      );
      if (bytes === undefined) {
        this.progress = { ...this.progress, state: "paused" };
        return;
      }
      this.previous = this.app.chosen;
      await this.app.guard(
        this.parts.storage()?.write(`${RUN}/about.json`, JSON.stringify({ ...record, done: true })),
      );
      this.progress = { ...this.progress, state: "done" };
      await this.app.chooseModel({
        bytes: bytes as unknown as ArrayBuffer,
        name: "fine-tuned",
        origin: "run",
      });
    } catch (error) {
      this.progress = { ...this.progress, state: "paused" };
      this.app.fail(error);
    } finally {
      await lock?.release();
      this.app.changed();
    }
  }

  /** Whether there is a model from before fine-tuning. */
  get hasPrevious(): boolean {
    return this.previous !== undefined;
  }

  /** The model from before fine-tuning again. */
  async goBack(): Promise<void> {
    if (this.previous === undefined) return;
    const before = this.previous;
    this.previous = undefined;
    this.progress = IDLE;
    await this.parts.storage()?.remove(RUN);
    await this.app.chooseModel(before);
  }

  heard(event: TrainEvent): void {
    const now = this.progress;
    const state = now.state === "pausing" ? "pausing" : "running";
    if (event.type === "start")
      this.progress = {
        ...now,
        state,
        epoch: event.resumedFrom?.epoch ?? 0,
        step: event.resumedFrom?.step ?? 0,
        steps: event.stepsPerEpoch,
      };
    if (event.type === "step") {
      const { epoch, step, steps, imagesPerSecond, secondsLeft } = event;
      this.progress = { ...now, state, epoch, step, steps, imagesPerSecond, secondsLeft };
    }
    if (event.type === "epoch") {
      const { epoch, trainLoss, testLoss, acc1 } = event;
      this.progress = {
        ...now,
        state,
        points: [...now.points.filter((point) => point.epoch < epoch), { epoch, trainLoss, testLoss, acc1 }],
      };
    }
    this.app.changed();
  }
}
