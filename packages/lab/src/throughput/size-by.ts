/** What the size of a point in the figures of throughput stands for; apart from them, so that users need no types of charts. */
export type SizeBy = "parameters" | "memory";
