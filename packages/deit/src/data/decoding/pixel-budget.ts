/**
 * How many pixels are decoded at a time, by all threads of a process together: small images beside each other, a very large
 * one by itself. The count lies in shared memory, a number for each thread, so that what a thread was at is given back when
 * it ends. A thread that was not lent a number (a program's own worker) counts by itself. Node only.
 */

const MAX_PIXELS = 64e6;
/** Threads that are lent a number; more of them count by themselves. */
const SLOTS = 512;

/** Words of the shared memory: whose turn it is to enter (a slot's number + 1, or 0), changes so far, pixels by slot. */
const [TURN, CHANGES, FIRST_SLOT] = [0, 1, 2];

/** What a thread needs to share the budget. */
export interface PixelShare {
  readonly words: Int32Array<SharedArrayBuffer>;
  readonly slot: number;
}

let share = ownShare();
const lent = new Set<number>();

/** A share for a thread that is about to start; `giveBack` once it has ended. */
export function lendPixels(): PixelShare & { giveBack(): void } {
  const { words } = share;
  let slot = 1;
  while (lent.has(slot)) slot++;
  if (slot === SLOTS) return { ...ownShare(), giveBack: () => {} };
  lent.add(slot);
  return {
    words,
    slot,
    giveBack() {
      lent.delete(slot);
      Atomics.store(words, FIRST_SLOT + slot, 0);
      Atomics.compareExchange(words, TURN, slot + 1, 0);
      tell(words);
    },
  };
}

/** In a thread that was lent a share, before it decodes. */
export function sharePixels(given: PixelShare): void {
  share = given;
}

function ownShare(): PixelShare {
  return { words: new Int32Array(new SharedArrayBuffer(4 * (FIRST_SLOT + SLOTS))), slot: 0 };
}

/** Those of this thread that wait, one after another. */
let queue: Promise<unknown> = Promise.resolve();

/** Decodes when there is room. */
export async function inFlight<T>(pixels: number, decode: () => T | Promise<T>): Promise<T> {
  const { words, slot } = share;
  const entering = queue.then(async () => enter(pixels, share));
  queue = entering;
  await entering;
  try {
    return await decode();
  } finally {
    Atomics.sub(words, FIRST_SLOT + slot, pixels);
    tell(words);
  }
}

/** One thread at a time may enter, so that a large image is not kept waiting by small ones. */
async function enter(pixels: number, { words, slot }: PixelShare): Promise<void> {
  await until(words, () => Atomics.compareExchange(words, TURN, 0, slot + 1) === 0);
  await until(words, () => {
    let busy = 0;
    for (let i = FIRST_SLOT; i < words.length; i++) busy += Atomics.load(words, i);
    return busy === 0 || busy + pixels <= MAX_PIXELS;
  });
  Atomics.add(words, FIRST_SLOT + slot, pixels);
  Atomics.store(words, TURN, 0);
  tell(words);
}

async function until(words: Int32Array<SharedArrayBuffer>, isSo: () => boolean): Promise<void> {
  for (;;) {
    const changes = Atomics.load(words, CHANGES);
    if (isSo()) return;
    const waiting = Atomics.waitAsync(words, CHANGES, changes);
    // Waiting alone does not keep a process alive.
    const alive = setInterval(() => {}, 2 ** 30);
    await waiting.value;
    clearInterval(alive);
  }
}

function tell(words: Int32Array<SharedArrayBuffer>): void {
  Atomics.add(words, CHANGES, 1);
  Atomics.notify(words, CHANGES);
}
