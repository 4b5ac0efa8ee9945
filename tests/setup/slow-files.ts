/**
 * A reporter that names, after a run, the files of the fast tier that have become slow, by processor time: it hardly
 * depends on what else a machine does. Nothing fails by it.
 */
import { relative } from "node:path";
import type { Reporter, TestModule } from "vitest/node";

/** Of processor time, of all threads and processes of a file. */
const LIMIT_SECONDS = 8;

// oxlint-disable-next-line import/no-default-export -- the form that vitest asks for
export default class SlowFiles implements Reporter {
  onTestRunEnd(modules: readonly TestModule[]): void {
    const timed = modules.map((module) => ({ module, seconds: module.meta().processorSeconds ?? 0 }));
    const total = (isSlow: boolean): number =>
      timed.reduce(
        (sum, { module, seconds }) => sum + (isSlow === (module.project.name === "slow") ? seconds : 0),
        0,
      );
    console.log(
      `Processor time of the tests: ${total(false).toFixed(0)} s fast, ${total(true).toFixed(0)} s slow`,
    );
    const slow = timed
      .filter(({ module, seconds }) => module.project.name !== "slow" && seconds > LIMIT_SECONDS)
      .toSorted((a, b) => b.seconds - a.seconds);
    if (slow.length === 0) return;
    console.log(
      `Fast files that took more than ${LIMIT_SECONDS} s of it: make them faster, or name them *.slow.test.ts`,
    );
    for (const { module, seconds } of slow)
      console.log(`  ${seconds.toFixed(1)} s  ${relative(process.cwd(), module.moduleId)}`);
  }
}
