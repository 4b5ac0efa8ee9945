/** What graphics cards have free, as their drivers tell. */
import { chmod, mkdir, rm, writeFile } from "node:fs/promises";
import { delimiter, join } from "node:path";
import { afterEach, expect, test, vi } from "vitest";
import { freeMemory, kernelCards, parseFreeMiB } from "../../src/runtime/free-memory.ts";
import { temporaryFolder } from "../data/temporary.ts";

const MIB = 2 ** 20;
afterEach(() => vi.unstubAllEnvs());

test("of nvidia-smi; what is not a number is left out", () => {
  expect(parseFreeMiB("143156\n 512 \n[N/A]\n")).toEqual([143156 * MIB, 512 * MIB]);
  expect(parseFreeMiB("No devices were found\n")).toEqual([]);
});

test("of the kernel's driver, of cards that have memory of their own", async () => {
  const root = await temporaryFolder();
  const write = async (card: string, files: Record<string, string>): Promise<void> => {
    await mkdir(join(root, card, "device"), { recursive: true });
    for (const [name, text] of Object.entries(files)) await writeFile(join(root, card, "device", name), text);
  };
  await write("card0", { vendor: "0x8086\n" });
  await write("card1", { mem_info_vram_total: "17163091968\n", mem_info_vram_used: "1000000000\n" });
  await write("card1-DP-1", { mem_info_vram_total: "17163091968\n", mem_info_vram_used: "0\n" });
  expect(kernelCards(root)).toEqual([16163091968]);
  expect(kernelCards(join(root, "none"))).toEqual([]);
  await rm(root, { recursive: true });
});

test.skipIf(process.platform !== "linux")("a run on a card is told of the freest one", async () => {
  const bin = await temporaryFolder();
  vi.stubEnv("PATH", bin);
  expect(await freeMemory("cuda")).toBe(Number.POSITIVE_INFINITY);
  const smi = join(bin, "nvidia-smi");
  await writeFile(
    smi,
    '#!/bin/sh\n[ "$*" = "--query-gpu=memory.free --format=csv,noheader,nounits" ] && printf "300\\n79000\\n"\n',
  );
  await chmod(smi, 0o755);
  vi.stubEnv("PATH", [bin, "/bin", "/usr/bin"].join(delimiter));
  expect(await freeMemory("cuda")).toBe(79000 * MIB);
  expect(await freeMemory("cpu")).toBeGreaterThan(MIB);
  await rm(bin, { recursive: true });
});
