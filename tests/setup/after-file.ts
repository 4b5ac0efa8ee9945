/**
 * What is to be done after the test file that runs now. Fast files share a process and its modules, so an `afterAll`
 * in a module that several of them import would run after the first alone.
 */
const duties: (() => Promise<unknown>)[] = [];

/** Has `clean` run once, after the last test of this file. */
export function afterFile(clean: () => Promise<unknown>): void {
  duties.push(clean);
}

/** Runs what was asked for, last first, and forgets it. */
export async function cleanUp(): Promise<void> {
  for (const clean of duties.splice(0).toReversed()) await clean();
}
