/** Whole files of a format, and what reads them. */
import type { Damage } from "./damage.ts";

export interface Specimen {
  readonly kind: string;
  /** Its name in a folder of its own. */
  readonly file: string;
  readonly bytes: Uint8Array;
  /** What lies beside it. */
  readonly beside: Readonly<Record<string, Uint8Array>>;
  readonly damage: Damage;
  /** How often it is chosen, where others have 1. */
  readonly share?: number;
  /** Everything that a command does with it. Throws what that throws. */
  read(folder: string): Promise<void>;
}
