/** The project now, what it was before each change, and who wants to know. */
import type { Project } from "./project.ts";

/** Changes that can be undone. */
const KEPT = 200;

export class History {
  current: Project;
  private past: { readonly project: Project; readonly what: string }[] = [];
  private future: { readonly project: Project; readonly what: string }[] = [];
  private readonly listeners: (() => void)[] = [];

  constructor(project: Project) {
    this.current = project;
  }

  onChange(listener: () => void): void {
    this.listeners.push(listener);
  }

  /** `what`: how the change is called where it can be undone; changes without a name are part of the one before. */
  change(next: Project, what?: string): void {
    if (next === this.current) return;
    if (what !== undefined) {
      this.past.push({ project: this.current, what });
      if (this.past.length > KEPT) this.past.shift();
      this.future = [];
    }
    this.set(next);
  }

  /** Another project: nothing before it can be undone. */
  replace(project: Project): void {
    [this.past, this.future] = [[], []];
    this.set(project);
  }

  get undoes(): string | undefined {
    return this.past.at(-1)?.what;
  }

  get redoes(): string | undefined {
    return this.future.at(-1)?.what;
  }

  undo(): void {
    const last = this.past.pop();
    if (last === undefined) return;
    this.future.push({ project: this.current, what: last.what });
    this.set(last.project);
  }

  redo(): void {
    const next = this.future.pop();
    if (next === undefined) return;
    this.past.push({ project: this.current, what: next.what });
    this.set(next.project);
  }

  /** Images that an undo can bring back. */
  reachable(): Set<string> {
    const all = [
      this.current,
      ...this.past.map(({ project }) => project),
      ...this.future.map(({ project }) => project),
    ];
    return new Set(all.flatMap(({ images }) => images.map(({ id }) => id)));
  }

  private set(project: Project): void {
    this.current = project;
    for (const listener of this.listeners) listener();
  }
}
