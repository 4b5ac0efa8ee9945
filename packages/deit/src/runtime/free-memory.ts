/** Memory that a device has free, before a run takes it. */
import { basename, join } from "node:path";
import { entries, outputOf, readText } from "./guarded.ts";
import type { DeviceName } from "./runtime.ts";

const MIB = 2 ** 20;

/**
 * Free bytes of a device; of several graphics cards, those of the freest one. Infinity where nothing tells: NVIDIA's cards
 * are known by nvidia-smi, AMD's by the kernel of Linux, and Apple's share the machine's.
 */
export async function freeMemory(device: DeviceName): Promise<number> {
  if (device === "cpu" || process.platform === "darwin") return process.availableMemory();
  const answer = await outputOf("nvidia-smi", ["--query-gpu=memory.free", "--format=csv,noheader,nounits"]);
  const cards = [...parseFreeMiB(answer ?? ""), ...(device === "cuda" ? [] : kernelCards())];
  return cards.length === 0 ? Number.POSITIVE_INFINITY : Math.max(...cards);
}

/** Bytes, from lines of MiB; what is not a number (`[N/A]`, an error's text) is left out. */
export function parseFreeMiB(text: string): number[] {
  return text
    .split("\n")
    .filter((line) => /^\s*\d+\s*$/.test(line))
    .map((line) => Number(line) * MIB);
}

/** Free bytes of the cards whose kernel driver tells (amdgpu). */
export function kernelCards(root = "/sys/class/drm"): number[] {
  const cards = entries(root).filter((path) => /^card\d+$/.test(basename(path)));
  return cards.flatMap((card) => {
    const [total = Number.NaN, used = Number.NaN] = ["total", "used"].map((part) =>
      Number.parseInt(readText(join(card, "device", `mem_info_vram_${part}`)) ?? "", 10),
    );
    const free = total - used;
    return Number.isFinite(free) ? [free] : [];
  });
}
