/**
 * The documents as a static site: every page of docs/, README, CONTRIBUTING and results/, shown by docsify in the browser.
 *
 *   npm run docs                        builds the site and serves it on this machine
 *   npm run docs:build [-- --out DIR]   builds it into docs-site/: works under any path of a host, and from file://
 *
 * docsify comes from npm's registry as one file of a fixed version, checked by its hash. It is not a dependency, as its package
 * has an install script that npm ci would run.
 */
import { execFileSync } from "node:child_process";
import { createHash } from "node:crypto";
import { globSync, readdirSync, readFileSync, statSync } from "node:fs";
import { copyFile, mkdir, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { basename, dirname, extname, join, posix } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";

const ROOT = fileURLToPath(new URL("..", import.meta.url));
const DOCSIFY = {
  version: "5.0.0",
  sha512: "F2LBvsG/RkW9VZs91FPceZpJBilSC9EYCid0n1YhnQb3OOw63dk70d1ITPR2RPwxmPPcWFQ+TOtpdImilLWyGw==",
  files: [
    "dist/docsify.min.js",
    "dist/plugins/search.min.js",
    "dist/themes/core.min.css",
    "dist/themes/addons/core-dark.min.css",
  ],
} as const;

/** Files of the site, as paths from the root: pages, and what they link to. */
export function siteFiles(): string[] {
  return globSync(["*.md", "docs/**/*.{md,svg,jpg,png,webp}", "results/*.{md,csv}", "bench/peers/*.md"], {
    cwd: ROOT,
  }).map((file) => file.replaceAll("\\", "/"));
}

/** The sidebar: headings and links of docs/README.md, without what it says about them. */
export function sidebarOf(contents: string): string {
  const lines = contents.split("\n").flatMap((line) => {
    const heading = /^## (.*)/.exec(line)?.[1];
    if (heading !== undefined) return [`- **${heading}**`];
    const link = /^- (\[[^\]]*\])\(([^)]*)\)/.exec(line);
    return link === null ? [] : [`  - ${link[1]}(/${join("docs", link[2] ?? "").replaceAll("\\", "/")})`];
  });
  return `${lines.join("\n")}\n`;
}

const NOT_FOUND = "# There is no such page\n\nSee the [contents](/docs/README.md), or search.\n";

/** Text of every page by its path: documents, and the files of code and folders that they link to. */
export function sitePages(files: readonly string[]): Record<string, string> {
  const pages: Record<string, string> = {};
  for (const file of files) {
    if (!file.endsWith(".md")) continue;
    const text = readFileSync(join(ROOT, file), "utf8");
    pages[file] = text.replaceAll(
      /\]\((?![a-z]+:|#)([^)#\s]+)(#[^)\s]*)?\)/g,
      (link, to: string, anchor = "", at: number) => {
        const path = posix.join(posix.dirname(file), to);
        const isImage = /!\[[^\]]*$/.test(text.slice(0, at));
        if (
          isImage ||
          to.endsWith(".md") ||
          statSync(join(ROOT, path), { throwIfNoEntry: false }) === undefined
        )
          return link;
        if (statSync(join(ROOT, path)).isDirectory()) {
          pages[`${path}/README.md`] ??= folderPage(path, pages);
          return `](/${path}/README.md${anchor})`;
        }
        if (files.includes(path)) return `](${path} ":ignore")`; // shown by the browser itself
        pages[`${path}.md`] ??= codePage(path);
        return `](/${path}${anchor})`;
      },
    );
  }
  return pages;
}

/** A file of code as a page. */
function codePage(path: string): string {
  const language = extname(path).slice(1) || "text";
  return `# ${basename(path)}\n\n\`\`\`${language}\n${readFileSync(join(ROOT, path), "utf8")}\n\`\`\`\n`;
}

/** A folder without a README as a page: its files, each with its code. */
function folderPage(path: string, pages: Record<string, string>): string {
  const readme = join(ROOT, path, "README.md");
  if (statSync(readme, { throwIfNoEntry: false })) return readFileSync(readme, "utf8");
  const files = readdirSync(join(ROOT, path), { withFileTypes: true }).filter((entry) => entry.isFile());
  for (const { name } of files) pages[`${path}/${name}.md`] ??= codePage(`${path}/${name}`);
  return `# ${path}\n\n${files.map(({ name }) => `- [${name}](/${path}/${name})`).join("\n")}\n`;
}

/** Writes the site into `out`. */
export async function buildSite(out: string): Promise<void> {
  await rm(out, { recursive: true, force: true });
  await mkdir(join(out, "site"), { recursive: true });
  await fetchDocsify(join(out, "site"));
  const files = siteFiles();
  for (const file of files) {
    await mkdir(join(out, dirname(file)), { recursive: true });
    await copyFile(join(ROOT, file), join(out, file));
  }
  const sidebar = sidebarOf(await readFile(join(ROOT, "docs/README.md"), "utf8"));
  await writeFile(join(out, "site/sidebar.md"), sidebar);
  const text = JSON.stringify({
    ...sitePages(files),
    "site/sidebar.md": sidebar,
    "site/not-found.md": NOT_FOUND,
  });
  const version = createHash("sha256").update(text).digest("hex").slice(0, 12);
  await writeFile(join(out, "site/pages.js"), `const VERSION = "${version}";\nconst PAGES = ${text};\n`);
  await copyFile(join(ROOT, "scripts/docs-site/index.html"), join(out, "index.html"));
  await writeFile(join(out, ".nojekyll"), "");
}

/** Puts docsify's files into a folder. */
async function fetchDocsify(folder: string): Promise<void> {
  const stage = await mkdtemp(join(tmpdir(), "deit-docs-"));
  try {
    const words = ["pack", `docsify@${DOCSIFY.version}`, "--prefer-offline", "--pack-destination", stage];
    execFileSync("npm", words, { stdio: ["ignore", "ignore", "pipe"], shell: process.platform === "win32" });
    const archive = join(stage, `docsify-${DOCSIFY.version}.tgz`);
    const hash = createHash("sha512")
      .update(await readFile(archive))
      .digest("base64");
    if (hash !== DOCSIFY.sha512)
      throw new Error(`docsify ${DOCSIFY.version}: expected sha512 ${DOCSIFY.sha512}, got ${hash}`);
    execFileSync("tar", ["-xzf", archive, "-C", stage]);
    for (const file of DOCSIFY.files)
      await copyFile(join(stage, "package", file), join(folder, file.split("/").at(-1) ?? file));
  } finally {
    await rm(stage, { recursive: true, force: true });
  }
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const { values } = parseArgs({
    options: {
      out: { type: "string", default: join(ROOT, "docs-site") },
      serve: { type: "boolean", default: false },
      port: { type: "string", default: "4180" },
    },
  });
  await buildSite(values.out);
  if (values.serve) {
    const { serveStatic } = await import("../packages/web/serve.ts");
    const { url } = await serveStatic(values.out, { port: Number(values.port), isolated: false });
    console.log(`${url}  (Ctrl-C ends it)`);
  } else console.log(values.out);
}
