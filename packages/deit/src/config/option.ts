/**
 * What the command line, the help and the documentation need to know of an option beside its zod type: its
 * group, its words, its other spellings. Not the options themselves (schema.ts), and no parsing (resolve.ts).
 */
import { z } from "zod";

/** Headings of `deit train --help`, in the order in which they are shown. */
export const OPTION_GROUPS = [
  "Images",
  "Model",
  "Fine-tuning",
  "Training",
  "Optimizer",
  "Schedule",
  "Augmentation",
  "Distillation",
  "Machine",
  "Run folder",
] as const;

export interface OptionInfo {
  readonly group: (typeof OPTION_GROUPS)[number];
  /** One line; its first word is lower case and it does not end in a full stop. */
  readonly help: string;
  /** What the help shows for the value: `DIR`, `N`. Booleans have none. */
  readonly value?: string;
  /** What a `null` default means to the reader: `the model's own`. */
  readonly nullMeans?: string;
  /** Other flag names of the same option, in kebab case: DeiT's own where it differs from ours. */
  readonly aliases?: readonly string[];
}

export type OptionKind = "boolean" | "integer" | "number" | "text" | "choice" | "numbers" | "size";

/** What can be told from an option's zod type. */
export interface OptionType {
  readonly kind: OptionKind;
  readonly nullable: boolean;
  /** The values of a `choice`, empty for other kinds. */
  readonly choices: readonly string[];
}

const registry = z.registry<OptionInfo>();

/** Attaches `info` to an option's type; the help text becomes the JSON Schema's description. */
export function option<T extends z.ZodType>(type: T, info: OptionInfo): T {
  const described = type.describe(info.help);
  registry.add(described, info);
  return described;
}

/** The information given to {@link option}. Throws for a type that never went through it. */
export function infoOf(type: z.ZodType): OptionInfo {
  const info = registry.get(type);
  if (info === undefined) throw new Error("an option without information: wrap its type in option()");
  return info;
}

/** Looks through defaults, nullables and renamed values to the kind of value that a user writes. */
export function typeOf(type: z.core.$ZodType): OptionType {
  if (type instanceof z.ZodDefault) return typeOf(type.def.innerType);
  if (type instanceof z.ZodNullable) return { ...typeOf(type.def.innerType), nullable: true };
  if (type instanceof z.ZodPipe) return typeOf(type.def.in);
  if (type instanceof z.ZodEnum)
    return { kind: "choice", nullable: false, choices: type.options.map(String) };
  if (type instanceof z.ZodBoolean) return { kind: "boolean", nullable: false, choices: [] };
  if (type instanceof z.ZodTuple || type instanceof z.ZodArray)
    return { kind: "numbers", nullable: false, choices: [] };
  if (type instanceof z.ZodUnion) return { kind: "size", nullable: false, choices: [] };
  if (type instanceof z.ZodNumber)
    return { kind: type.isInt ? "integer" : "number", nullable: false, choices: [] };
  return { kind: "text", nullable: false, choices: [] };
}
