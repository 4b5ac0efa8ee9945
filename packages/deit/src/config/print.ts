/**
 * Options as text: the YAML that --print-config shows (every value with its source) and that a run folder
 * keeps. What is printed can be read back as a config file.
 */
import { Document, Scalar, isCollection, isScalar } from "yaml";
import { TRAIN_OPTION_NAMES } from "./schema.ts";
import type { TrainOptionName, TrainOptions } from "./schema.ts";

/** YAML of all options in the schema's order; with `sources`, each line ends in a comment that tells its source. */
export function optionsToYaml(
  options: TrainOptions,
  sources?: Readonly<Record<TrainOptionName, string>>,
): string {
  const document = new Document({});
  for (const name of TRAIN_OPTION_NAMES) {
    const node = document.createNode(options[name], { flow: true });
    if (sources !== undefined && (isScalar(node) || isCollection(node))) node.comment = ` ${sources[name]}`;
    document.add(document.createPair(new Scalar(name), node));
  }
  return document.toString({ lineWidth: 0, flowCollectionPadding: false });
}

/** `{ option: { value, source } }` for programs that read --print-config --json. */
export function optionsWithSources(
  options: TrainOptions,
  sources: Readonly<Record<TrainOptionName, string>>,
): Record<string, { value: unknown; source: string }> {
  return Object.fromEntries(
    TRAIN_OPTION_NAMES.map((name) => [name, { value: options[name], source: sources[name] }]),
  );
}
