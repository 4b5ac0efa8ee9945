/** Kinds of values that several groups of options take. */
import { z } from "zod";

export const count = z.int().min(1);
/** From 0, below 1. */
export const rate = z.number().min(0).lt(1);
export const positive = z.number().gt(0);
export const colour = z.tuple([z.number(), z.number(), z.number()]);
export const text = z.string().min(1);
