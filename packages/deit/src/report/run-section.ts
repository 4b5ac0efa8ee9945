/** The page's part on the run itself: how to make it again, its options, where it ran. */
import type { RunRecord, RunSession } from "../training/run/run-folder.ts";
import type { OptionRow } from "./configuration.ts";
import { optionRows, startCommand } from "./configuration.ts";
import { counted } from "./format.ts";
import { html } from "../figures/html.ts";
import type { Html } from "../figures/html.ts";

export function runSection({ args, sessions }: RunRecord): Html {
  const rows = optionRows(args);
  const changed = rows.filter(({ standard }) => standard !== undefined);
  return html`<section>
    <h2>Run</h2>
    <p class="lead">
      What it takes to make it again: on the same device the same options give the same weights.
    </p>
    <div class="cards two">
      <div class="card">${reproduction(sessions)}</div>
      <div class="card">
        <h3>Environment</h3>
        ${environment(sessions)}
      </div>
      <div class="card" style="grid-column:1/-1">
        <h3>Options other than the defaults</h3>
        ${changed.length === 0 ? html`<p class="muted">None.</p>` : html`<div class="scroll">${changedTable(changed)}</div>`}
        <details>
          <summary>All ${counted(rows.length, "option")}</summary>
          <div class="scroll">${allTable(rows)}</div>
        </details>
      </div>
    </div>
  </section>`;
}

function reproduction(sessions: readonly RunSession[]): Html {
  const command = startCommand(sessions);
  return html`<h3>Make it again</h3>
    ${
      command !== undefined &&
      html`<p class="small muted">As it was started:</p>
        <pre>${wrapping(command)}</pre>`
    }
    <p class="small muted">With every option as recorded here:</p>
    <pre>${wrapping(["deit", "train", "args.yaml", "--output-dir", "again"])}</pre>
    <p class="small muted">args.yaml is in the run folder, beside this page.</p>`;
}

/** A command that is broken between its words, not within a flag. */
function wrapping(words: readonly string[]): Html {
  return html`${words.map((word, i) => html`${i > 0 && " "}<span class="word">${word}</span>`)}`;
}

function environment(sessions: readonly RunSession[]): Html {
  const last = sessions.at(-1);
  if (last === undefined) return html`<p class="muted">Not recorded.</p>`;
  const { machine, versions, git } = last;
  const facts: readonly (readonly [string, string | undefined])[] = [
    ["processor", machine.cpu ?? "unknown"],
    ["cores", String(machine.cores)],
    ["memory", `${machine.memoryGiB} GiB`],
    ["system", machine.platform],
    ...Object.entries(versions).map(([name, version]) => [name, version] as const),
    ["commit", git === null ? undefined : `${git.commit.slice(0, 12)}${git.dirty ? ", with changes" : ""}`],
    [
      sessions.length > 1 ? "sessions" : "started",
      sessions
        .map(({ started, epoch }) => `${minute(started)}${epoch > 0 ? ` (from epoch ${epoch + 1})` : ""}`)
        .join(", "),
    ],
  ];
  return html`<table>
    <tbody>
      ${facts.map(
        ([name, value]) =>
          value !== undefined &&
          html`<tr>
            <th scope="row">${name}</th>
            <td class="name">${value}</td>
          </tr>`,
      )}
    </tbody>
  </table>`;
}

/** `2026-01-31 14:05 UTC` */
function minute(time: string): string {
  return `${time.slice(0, 16).replace("T", " ")} UTC`;
}

function changedTable(rows: readonly OptionRow[]): Html {
  return html`<table class="options">
    <thead>
      <tr>
        <th scope="col">option</th>
        <th scope="col">value</th>
        <th scope="col">default</th>
      </tr>
    </thead>
    <tbody>
      ${rows.map(
        ({ name, value, standard, help }) =>
          html`<tr class="changed" title="${help}">
            <td><code>${name}</code></td>
            <td class="name">${value}</td>
            <td class="name muted">${standard}</td>
          </tr>`,
      )}
    </tbody>
  </table>`;
}

function allTable(rows: readonly OptionRow[]): Html {
  return html`<table class="options">
    <tbody>
      ${rows.map(
        ({ name, group, value, standard, help }, i) =>
          html`${
              group !== rows[i - 1]?.group &&
              html`<tr class="group">
                <th scope="rowgroup" colspan="3">${group}</th>
              </tr>`
            }
            <tr class="${standard !== undefined && "changed"}">
              <td><code>${name}</code></td>
              <td class="name">${value}</td>
              <td class="muted small">${help}</td>
            </tr>`,
      )}
    </tbody>
  </table>`;
}
