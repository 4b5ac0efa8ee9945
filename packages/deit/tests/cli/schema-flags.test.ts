import { Command } from "commander";
import { expect, test } from "vitest";
import { addSchemaFlags } from "../../src/cli/schema-flags.ts";
import { kebabCase } from "../../src/config/names.ts";
import { typeOf } from "../../src/config/option.ts";
import { resolveTrainOptions } from "../../src/config/resolve.ts";
import { TRAIN_OPTION_NAMES, trainSchema } from "../../src/config/schema.ts";

const command = new Command();
addSchemaFlags(command, TRAIN_OPTION_NAMES);

test.each(TRAIN_OPTION_NAMES)("the default that the help shows of %s is the default", (name) => {
  const flag = command.options.find(({ long }) => long === `--${kebabCase(name)}`);
  const [, shown] = /\(default: ([^()]*)\)$/.exec(flag?.description ?? "") ?? [];
  const standard: unknown = trainSchema.shape[name].parse(undefined);
  if (standard === null || standard === false) return expect(shown ?? "").not.toMatch(/^[\d.]+$/);
  if (typeOf(trainSchema.shape[name]).kind === "boolean") return expect(shown).toBe(JSON.stringify(standard));
  const given = shown?.includes(" ") ? shown.split(" ") : shown;
  const { options } = resolveTrainOptions([
    { source: "command line", spelling: "flag", values: { [name]: given } },
  ]);
  return expect(options[name]).toEqual(standard);
});

test("a fraction is read as one", () => {
  const values = { ratio: ["3/4", "4/3"], lr: "1/2000" };
  const { options } = resolveTrainOptions([{ source: "command line", spelling: "flag", values }]);
  expect(options).toMatchObject({ ratio: [3 / 4, 4 / 3], lr: 5e-4 });
});
