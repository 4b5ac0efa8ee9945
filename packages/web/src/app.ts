/** What the page knows and does, without what it looks like: the project, its storage, the model, and what they found out. */
import { connectWorker } from "./engine/rpc.ts";
import type {
  EngineApi,
  EngineEvent,
  Judged,
  LookResult,
  ModelFacts,
  TeachResult,
} from "./engine/engine.worker.ts";
import type { Inside, LossRequest, LossResult } from "./engine/inspect.ts";
import type { TakeAway } from "./engine/take-away.ts";
import type { GivenImage } from "./state/dropped.ts";
import { History } from "./state/history.ts";
import type { StartingModel } from "./state/models.ts";
import { keepModel, modelKey, openStartingModel, pageModel } from "./state/models.ts";
import type { NewImage, Project } from "./state/project.ts";
import { addImages, EMPTY, freeName } from "./state/project.ts";
import type { SavedProject, Storage } from "./state/storage.ts";
import { contentId, openStorage, packFeatures, unpackFeatures } from "./state/storage.ts";
import { Improving } from "./improving.ts";
import { TEXT } from "./texts.ts";

export type ModelState =
  | { readonly state: "none" }
  | { readonly state: "loading"; readonly share?: number }
  | { readonly state: "ready"; readonly facts: ModelFacts; readonly origin: StartingModel["origin"] }
  | { readonly state: "failed"; readonly message: string };

/** Saves at most so often, in milliseconds. */
const SAVE_AFTER = 300;
const TEACH_AFTER = 60;
/** Images that files to take away are run on. */
const CHECKED = 16;

export class App {
  readonly history = new History(EMPTY);
  model: ModelState = { state: "none" };
  /** What the held-out images say; undefined before there is a head. */
  taught: TeachResult | undefined;
  /** Images that cannot be read, and why. */
  readonly unreadable = new Map<string, string>();
  /** What went wrong outside of single images: shown until it is dismissed. */
  failure: string | undefined;
  private storage: Storage | undefined;
  private readonly features = new Map<string, Float32Array>();
  private readonly thumbs = new Map<string, Blob>();
  private readonly listeners: (() => void)[] = [];
  private readonly engine = connectWorker<EngineApi, EngineEvent>(
    new Worker(new URL("./engine/engine.worker.ts", import.meta.url), { type: "module" }),
  );
  /** Fine-tuning. */
  readonly improving = new Improving(this, {
    call: this.engine.call,
    storage: () => this.storage,
  });
  private opening: Promise<void> | undefined;
  key = "";
  /** The model of the page, as it is chosen or kept. */
  chosen: StartingModel | undefined;
  private saving: ReturnType<typeof setTimeout> | undefined;
  private savingFeatures: ReturnType<typeof setTimeout> | undefined;
  private teaching: ReturnType<typeof setTimeout> | undefined;
  private teachAgain = false;

  constructor() {
    this.engine.onEvent((event) => this.heard(event));
    this.history.onChange(() => {
      this.changed();
      this.saveSoon();
      this.teachSoon();
    });
  }

  get project(): Project {
    return this.history.current;
  }

  get lasts(): boolean {
    return this.storage?.lasts ?? true;
  }

  onChange(listener: () => void): void {
    this.listeners.push(listener);
  }

  /** Opens what was kept. Nothing of the model is loaded before there are images, or one is to be tried. */
  async start(): Promise<void> {
    this.storage = await openStorage();
    const saved = await this.storage.read("project.json");
    if (saved !== undefined) {
      const { project } = JSON.parse(await saved.text()) as { project: Project };
      this.history.replace(project);
    }
    await this.removeUnused();
    await this.improving.find();
    if (this.project.images.length > 0) void this.openModel();
  }

  /** Opens the model that was chosen, once; one after the other where others are chosen meanwhile. */
  async openModel(): Promise<void> {
    this.opening ??= this.openNext(Promise.resolve());
    return this.opening;
  }

  /** Takes other weights; features are computed anew. */
  async chooseModel(chosen: StartingModel): Promise<void> {
    this.chosen = chosen;
    this.opening = this.openNext(this.opening ?? Promise.resolve());
    if (this.storage !== undefined) await this.guard(keepModel(this.storage, chosen));
    return this.opening;
  }

  private async openNext(before: Promise<void>): Promise<void> {
    await before;
    try {
      await this.reallyOpen();
    } catch (error) {
      this.opening = undefined;
      this.model = { state: "failed", message: messageOf(error) };
      this.changed();
    }
  }

  loading(share: number): void {
    this.model = { state: "loading", share };
    this.changed();
  }

  private async reallyOpen(): Promise<void> {
    this.model = { state: "loading" };
    this.changed();
    const storage = this.storage ?? (await openStorage());
    const kept = this.chosen === undefined ? await openStartingModel(storage) : undefined;
    const chosen = this.chosen ?? kept ?? (await pageModel()); // one may have been chosen meanwhile
    this.chosen = chosen;
    this.key = await modelKey(chosen);
    this.features.clear();
    this.asked.clear();
    this.unreadable.clear();
    this.taught = undefined;
    const facts = await this.engine.call.open(chosen.bytes.slice(0), chosen.name, {
      device: "cpu",
      threads: 1,
    });
    const file = await storage.read(`features/${this.key}`);
    const known = file
      ? unpackFeatures(await file.arrayBuffer(), facts.width)
      : new Map<string, Float32Array>();
    for (const [id, row] of known) this.features.set(id, row);
    await this.engine.call.restore([...known]);
    this.model = { state: "ready", facts, origin: chosen.origin };
    this.changed();
    await this.seeMissing();
    this.teachSoon();
  }

  /** Adds files to classes: of their folders, or to one that is given. @returns how many are new */
  async addFiles(given: readonly GivenImage[], className?: string): Promise<number> {
    const before = this.project.images.length;
    const byClass = new Map<string, NewImage[]>();
    const fresh = className ?? freeName(this.project, TEXT.teach.newClass);
    const opening = this.openModel();
    for (const { file, className: own, held } of given) {
      const id = await contentId(file);
      await this.guard(this.storage?.write(`images/${id}`, file));
      const name = className ?? own ?? fresh;
      byClass.set(name, [...(byClass.get(name) ?? []), { id, name: file.name, held }]);
    }
    let next = this.project;
    const inOrder = [...byClass].toSorted(([a], [b]) => a.localeCompare(b, undefined, { numeric: true }));
    for (const [name, images] of inOrder) next = addImages(next, name, images);
    this.history.change(next, TEXT.teach.addedImages(next.images.length - before));
    await opening;
    await this.seeMissing();
    return next.images.length - before;
  }

  /** The image's file. */
  async imageOf(id: string): Promise<Blob | undefined> {
    return this.storage?.read(`images/${id}`);
  }

  async thumbOf(id: string): Promise<Blob | undefined> {
    const made = this.thumbs.get(id) ?? (await this.storage?.read(`thumbs/${id}`));
    return made ?? this.imageOf(id);
  }

  /** Whether the model has seen the image. */
  isSeen(id: string): boolean {
    return this.features.has(id);
  }

  /** Images that the model has yet to see. */
  get waiting(): number {
    return this.project.images.filter(({ id }) => !this.features.has(id) && !this.unreadable.has(id)).length;
  }

  /** Whether all that is known has been learned. */
  get settled(): boolean {
    return this.model.state === "ready" && this.waiting === 0 && this.teaching === undefined;
  }

  judgedOf(id: string): Judged | undefined {
    return this.taught?.judged.find((judged) => judged.id === id);
  }

  async look(blob: Blob | ImageBitmap, name: string): Promise<LookResult> {
    await this.openModel();
    return this.engine.call.look(blob, name) as unknown as Promise<LookResult>;
  }

  async inspect(blob: Blob | ImageBitmap, name: string): Promise<Inside> {
    await this.openModel();
    return this.engine.call.inspect(blob, name) as unknown as Promise<Inside>;
  }

  async losses(request: LossRequest): Promise<LossResult> {
    return this.engine.call.losses(request);
  }

  /** Files for other programs, run on held-out images. */
  async takeAway(): Promise<TakeAway> {
    await this.openModel();
    const classes = this.project.classes.map(({ name }) => name);
    const some = this.project.images
      .filter(({ id, held }) => held && this.features.has(id))
      .slice(0, CHECKED);
    const images = await Promise.all(
      some.map(async ({ id, name }) => ({ id, name, blob: (await this.imageOf(id)) ?? new Blob() })),
    );
    return this.engine.call.takeAway(images, { classes, name: this.project.name || TEXT.project.unnamed });
  }

  /** The project with its images as one file. */
  async projectFile(): Promise<Blob> {
    const { writeZip } = await import("./state/zip.ts");
    const files: (readonly [string, Blob])[] = [
      [
        "project.json",
        new Blob([JSON.stringify({ format: 1, project: this.project } satisfies SavedProject)]),
      ],
    ];
    for (const { id } of this.project.images) {
      const blob = await this.imageOf(id);
      if (blob !== undefined) files.push([`images/${id}`, blob]);
    }
    if (this.model.state === "ready")
      files.push([`features/${this.key}`, new Blob([packFeatures(this.features, this.model.facts.width)])]);
    return writeZip(files);
  }

  /** Takes the project of a file in the place of the one that is open. @throws Error for a file that holds none */
  async openProjectFile(file: Blob): Promise<void> {
    const { readZip } = await import("./state/zip.ts");
    const files = new Map(await readZip(file));
    const about = files.get("project.json");
    if (about === undefined) throw new Error(TEXT.errors.noProject);
    const { format, project } = JSON.parse(await about.text()) as SavedProject;
    if (format !== 1 || !Array.isArray(project.classes) || !Array.isArray(project.images))
      throw new Error(TEXT.errors.noProject);
    for (const [path, content] of files)
      if (/^(?:images|features)\/[0-9a-f]+$/.test(path)) await this.storage?.write(path, content);
    this.history.replace(project);
    this.taught = undefined;
    this.asked.clear();
    this.unreadable.clear();
    await this.removeUnused();
    this.opening = this.openNext(this.opening ?? Promise.resolve());
    await this.opening;
  }

  dismiss(): void {
    this.failure = undefined;
    this.changed();
  }

  fail(error: unknown): void {
    this.failure = messageOf(error);
    this.changed();
  }

  private heard(event: EngineEvent): void {
    if (event.type === "improving") return this.improving.heard(event.event);
    if (event.type === "seen") {
      this.features.set(event.id, event.features);
      if (event.thumb !== undefined) {
        this.thumbs.set(event.id, event.thumb);
        void this.guard(this.storage?.write(`thumbs/${event.id}`, event.thumb)).then(() =>
          this.thumbs.delete(event.id),
        );
      }
      this.saveFeaturesSoon();
    } else this.unreadable.set(event.id, event.message);
    this.changed();
    this.teachSoon();
  }

  /** Gives the model all images that it has not seen. */
  private async seeMissing(): Promise<void> {
    if (this.model.state !== "ready") return;
    const missing = this.project.images.filter(({ id }) => !this.features.has(id) && !this.asked.has(id));
    for (const { id, name } of missing) {
      const blob = await this.imageOf(id);
      if (blob === undefined) {
        this.unreadable.set(id, TEXT.errors.gone);
        continue;
      }
      this.asked.add(id);
      await this.engine.call.see([{ id, name, blob }]);
    }
  }
  private readonly asked = new Set<string>();

  private teachSoon(): void {
    if (this.teaching !== undefined) {
      this.teachAgain = true;
      return;
    }
    this.teaching = setTimeout(() => {
      void this.teach()
        .catch((error: unknown) => this.fail(error))
        .finally(() => {
          this.teaching = undefined;
          if (this.teachAgain) {
            this.teachAgain = false;
            this.teachSoon();
          }
          this.changed();
        });
    }, TEACH_AFTER);
  }

  async teach(): Promise<void> {
    const before = this.model;
    if (before.state !== "ready") return;
    const { classes, images } = this.project;
    const index = new Map(classes.map(({ id }, i) => [id, i]));
    const known = images.filter(({ id }) => this.features.has(id));
    const learnt = new Set(known.flatMap(({ held, classId }) => (held ? [] : [classId])));
    if (learnt.size < 2) {
      if (this.taught === undefined) return;
      this.taught = undefined;
      await this.engine.call.unteach();
    } else {
      const labelled = known.map(({ id, classId, held }) => ({ id, label: index.get(classId) ?? 0, held }));
      const taught = await this.engine.call.teach(labelled, classes.length);
      if (this.model !== before) return; // another model was opened meanwhile
      this.taught = taught;
    }
    this.changed();
  }

  private saveSoon(): void {
    clearTimeout(this.saving);
    this.saving = setTimeout(() => void this.save(), SAVE_AFTER);
  }

  /** Writes the project now. */
  async save(): Promise<void> {
    await this.guard(
      this.storage?.write("project.json", JSON.stringify({ format: 1, project: this.project })),
    );
  }

  private saveFeaturesSoon(): void {
    this.savingFeatures ??= setTimeout(() => {
      this.savingFeatures = undefined;
      if (this.model.state !== "ready") return;
      const packed = packFeatures(this.features, this.model.facts.width);
      void this.guard(this.storage?.write(`features/${this.key}`, packed));
    }, 1000);
  }

  /** Files of images that are in no project any more. */
  private async removeUnused(): Promise<void> {
    const used = this.history.reachable();
    for (const folder of ["images", "thumbs"])
      for (const id of (await this.storage?.list(folder)) ?? [])
        if (!used.has(id)) await this.storage?.remove(`${folder}/${id}`);
  }

  /** A failure to store is shown, and nothing else is lost by it. */
  async guard(writing: Promise<void> | undefined): Promise<void> {
    try {
      await writing;
    } catch (error) {
      this.failure = TEXT.errors.notSaved(messageOf(error));
      this.changed();
    }
  }

  changed(): void {
    for (const listener of this.listeners) listener();
  }
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
