/** A project: classes and their images, as values that are never changed but replaced. */
import { createRandom } from "deit-ts/web";

export interface ClassInfo {
  readonly id: string;
  readonly name: string;
}

export interface ImageInfo {
  /** The first 128 bits of the content's SHA-256: a copy is the same image. */
  readonly id: string;
  readonly name: string;
  readonly classId: string;
  /** Not learnt from: what the classifier is judged on. */
  readonly held: boolean;
}

export interface Project {
  readonly name: string;
  readonly seed: number;
  readonly classes: readonly ClassInfo[];
  readonly images: readonly ImageInfo[];
}

export const EMPTY: Project = { name: "", seed: 0, classes: [], images: [] };

/** Of so many images of a class one is held out. */
const ONE_IN = 4;

/**
 * Whether the next image of a class is held out: one of each four, by the seed. What was decided of an image stays, whatever
 * comes or goes.
 */
function isHeldNext({ seed, images }: Project, { id, name }: ClassInfo): boolean {
  const count = images.filter(({ classId }) => classId === id).length;
  const block = Math.floor(count / ONE_IN);
  return createRandom(seed, "held", name, block).integer(ONE_IN) === count % ONE_IN;
}

export interface NewImage {
  readonly id: string;
  readonly name: string;
  /** Of a folder that says so (val, test); undefined: by the seed. */
  readonly held?: boolean | undefined;
}

/** Adds images to a class, which is made where there is none of that name; images that are there already stay where they are. */
export function addImages(project: Project, className: string, images: readonly NewImage[]): Project {
  const found = project.classes.find(({ name }) => name === className);
  const own = found ?? { id: newId(), name: className };
  const known = new Set(project.images.map(({ id }) => id));
  let next = found ? project : { ...project, classes: [...project.classes, own] };
  const added = [...next.images];
  for (const { id, name, held } of images) {
    if (known.has(id)) continue;
    known.add(id);
    next = { ...next, images: added };
    added.push({ id, name, classId: own.id, held: held ?? isHeldNext(next, own) });
  }
  return { ...next, images: added };
}

export function addClass(project: Project, name: string): Project {
  return { ...project, classes: [...project.classes, { id: newId(), name }] };
}

export function renameClass(project: Project, id: string, name: string): Project {
  return { ...project, classes: project.classes.map((own) => (own.id === id ? { ...own, name } : own)) };
}

export function removeClass(project: Project, id: string): Project {
  return {
    ...project,
    classes: project.classes.filter((own) => own.id !== id),
    images: project.images.filter(({ classId }) => classId !== id),
  };
}

export function moveImages(project: Project, ids: ReadonlySet<string>, classId: string): Project {
  return {
    ...project,
    images: project.images.map((image) => (ids.has(image.id) ? { ...image, classId } : image)),
  };
}

export function removeImages(project: Project, ids: ReadonlySet<string>): Project {
  return { ...project, images: project.images.filter(({ id }) => !ids.has(id)) };
}

export function holdImage(project: Project, id: string, held: boolean): Project {
  return {
    ...project,
    images: project.images.map((image) => (image.id === id ? { ...image, held } : image)),
  };
}

/** A name that no class has: "class 3". */
export function freeName({ classes }: Project, word: string): string {
  const names = new Set(classes.map(({ name }) => name));
  let n = classes.length + 1;
  while (names.has(`${word} ${n}`)) n++;
  return `${word} ${n}`;
}

function newId(): string {
  return crypto.randomUUID();
}
