/** Flags of the command line itself (those of training are in the option schema) that hold a count. */
import { ConfigError } from "../errors.ts";

/** A commander parser: "5" → 5. Throws ConfigError for anything but a whole number from `least` on. */
export function wholeNumber(name: string, least = 1): (text: string) => number {
  return (text) => {
    const value = text.trim() === "" ? Number.NaN : Number(text);
    if (Number.isSafeInteger(value) && value >= least) return value;
    throw new ConfigError(
      name,
      `--${name}: got ${JSON.stringify(text)}, expected a whole number, at least ${least}`,
      { code: "options/value" },
    );
  };
}

/** A commander parser: "4.5" → 4.5. Throws ConfigError for anything but a number above 0. */
export function positiveNumber(name: string): (text: string) => number {
  return (text) => {
    const value = text.trim() === "" ? Number.NaN : Number(text);
    if (Number.isFinite(value) && value > 0) return value;
    throw new ConfigError(name, `--${name}: got ${JSON.stringify(text)}, expected a number above 0`, {
      code: "options/value",
    });
  };
}
