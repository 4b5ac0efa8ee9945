/** The fields that we need of somebody's JSON file, checked; others are passed by. Nothing here knows what they mean. */
import { z } from "zod";
import { FormatError } from "../errors.ts";

/** config.json with ImageNet-21k's names has 2 MB; parsing costs several times the text. */
const MAX_CHARACTERS = 8 * 1024 * 1024;
/** An image side in pixels that no model has. */
const MAX_SIDE = 65_536;

/** Pixels along one side. */
export const pixels = z.int().positive().max(MAX_SIDE);
/** A square's side, or [height, width]. */
export const side = z.union([
  pixels.transform((size): [number, number] => [size, size]),
  z.tuple([pixels, pixels]),
]);
/** One number a channel. */
export const triple = z.tuple([z.number(), z.number(), z.number()]);

/**
 * Parses and checks. null counts as absent.
 * @throws FormatError naming the first field that is not what it should be
 */
export function parseFields<T>(text: string, schema: z.ZodType<T>, { file }: { file: string }): T {
  if (text.length > MAX_CHARACTERS) {
    throw new FormatError(file, `has ${text.length} characters; at most ${MAX_CHARACTERS} are read`, {
      code: "checkpoint/damaged-settings",
      hint: "Such a file holds settings and class names. Is it the right one?",
    });
  }
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (cause) {
    throw new FormatError(file, "is not JSON", {
      code: "checkpoint/damaged-settings",
      hint: `It begins with ${JSON.stringify(text.slice(0, 40))}. Get it again.`,
      cause,
    });
  }
  const result = schema.safeParse(withoutNulls(value));
  if (result.success) return result.data;
  const [issue] = result.error.issues;
  const path = issue?.path ?? [];
  const given: unknown = path.reduce<unknown>(
    (at, key) => (typeof at === "object" && at !== null ? Reflect.get(at, key) : undefined),
    value,
  );
  const field = path.length === 0 ? "its content" : `its ${path.map(String).join(".").slice(0, 80)}`;
  throw new FormatError(
    file,
    given === undefined
      ? `${field} is missing`
      : `${field} is ${shown(given)}: ${lowerFirst(issue?.message ?? "")}`,
    {
      code: "checkpoint/damaged-settings",
      hint: "The file is damaged, was edited, or is not the model's. Get it again, or fix that field.",
    },
  );
}

/** An object's fields that are not null; Python writes null for what is not set. */
export function withoutNulls(value: unknown): unknown {
  if (typeof value !== "object" || value === null || Array.isArray(value)) return value;
  return Object.fromEntries(Object.entries(value).filter(([, field]) => field !== null));
}

/** A value for a message; not all of it, and not what is deep inside, where JSON.stringify would overflow the stack. */
function shown(value: unknown): string {
  if (Array.isArray(value))
    return `[${value
      .slice(0, 4)
      .map((item) => (typeof item === "object" ? "…" : shown(item)))
      .join(", ")}${value.length > 4 ? ", …" : ""}]`;
  if (typeof value === "object" && value !== null)
    return `an object with ${Object.keys(value).slice(0, 3).join(", ").slice(0, 60) || "nothing in it"}`;
  return typeof value === "string" ? JSON.stringify(value.slice(0, 60)) : String(value);
}

const lowerFirst = (text: string): string => text.slice(0, 1).toLowerCase() + text.slice(1);
