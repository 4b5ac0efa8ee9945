/** The documents as a site: its sidebar, and that every link of every page leads to a file of it. */
import { existsSync, readFileSync } from "node:fs";
import { posix } from "node:path";
import { fileURLToPath } from "node:url";
import { expect, test } from "vitest";
import { sidebarOf, siteFiles } from "../../scripts/docs-site.ts";

const root = fileURLToPath(new URL("../..", import.meta.url));

test("the sidebar is the contents of docs/README.md, by paths from the root", () => {
  expect(sidebarOf("# Title\n\ntext\n\n## Tasks\n\n- [A](a.md): first\n- [B](../B.md): second\n")).toBe(
    "- **Tasks**\n  - [A](/docs/a.md)\n  - [B](/B.md)\n",
  );
  const sidebar = sidebarOf(readFileSync(`${root}/docs/README.md`, "utf8"));
  const links = [...sidebar.matchAll(/\(\/(.*)\)/g)].map(([, path]) => path ?? "");
  expect(links.length).toBeGreaterThan(15);
  expect(links.filter((path) => !existsSync(`${root}/${path}`))).toEqual([]);
});

test("pages and images that pages link to are in the site", () => {
  const files = new Set(siteFiles());
  expect(files.size).toBeGreaterThan(60);
  const lost = [...files]
    .filter((file) => file.endsWith(".md"))
    .flatMap((file) =>
      [
        ...readFileSync(`${root}/${file}`, "utf8").matchAll(
          /\]\((?![a-z]+:)([^)#\s]+\.(?:md|csv|svg|jpg|png|webp))/g,
        ),
      ]
        .map(([, link = ""]) => posix.join(posix.dirname(file), link))
        .filter((path) => !files.has(path))
        .map((path) => `${file}: ${path}`),
    );
  expect(lost).toEqual([]);
});
