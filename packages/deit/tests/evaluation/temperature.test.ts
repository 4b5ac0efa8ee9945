/** The temperature of least loss, against a search over kept logits. */
import { expect, test } from "vitest";
import { calibrate } from "../../src/evaluation/metrics/calibration.ts";
import { TemperatureMeter } from "../../src/evaluation/metrics/temperature.ts";
import { createRandom } from "../../src/random.ts";

/** Logits whose true temperature is `temperature`: labels are drawn from softmax(logits / temperature). */
function images(n: number, temperature: number): { logits: Float32Array; label: number }[] {
  const random = createRandom(3);
  return Array.from({ length: n }, () => {
    const logits = Float32Array.from({ length: 6 }, () => random.normal(0, 3));
    const weights = Array.from(logits, (logit) => Math.exp(logit / temperature));
    let left = random.uniform() * weights.reduce((sum, weight) => sum + weight, 0);
    const label = weights.findIndex((weight) => (left -= weight) <= 0);
    return { logits, label: label < 0 ? 5 : label };
  });
}

const lossAt = (rows: ReturnType<typeof images>, temperature: number): number =>
  rows.reduce((total, { logits, label }) => {
    const scaled = Array.from(logits, (logit) => logit / temperature);
    const sum = scaled.reduce((all, logit) => all + Math.exp(logit), 0);
    return total + Math.log(sum) - (scaled[label] ?? 0);
  }, 0) / rows.length;

test.each([0.7, 1, 2.5])("finds %s, and is worth what it is worth on the other half", (truth) => {
  const rows = images(3000, truth);
  const meter = new TemperatureMeter();
  for (const [i, { logits, label }] of rows.entries()) meter.add(logits, label, i);
  const fit = meter.result();
  expect(fit?.temperature).toBeGreaterThan(0.93 * truth);
  expect(fit?.temperature).toBeLessThan(1.07 * truth);
  const { temperature = Number.NaN, crossFitted = { loss: 0, ece: 0 } } = fit ?? {};
  for (const other of [0.9, 1.1])
    expect(lossAt(rows, temperature)).toBeLessThan(lossAt(rows, other * temperature));
  expect(crossFitted.loss).toBeCloseTo(lossAt(rows, temperature), 3);
  const probabilities = rows.map(({ logits, label }) => {
    const scaled = Array.from(logits, (logit) => Math.exp(logit / temperature));
    const most = Math.max(...scaled);
    return { confidence: most / scaled.reduce((a, b) => a + b, 0), right: scaled.indexOf(most) === label };
  });
  const { ece } = calibrate(
    Float64Array.from(probabilities, ({ confidence }) => confidence),
    (i) => probabilities[i]?.right ?? false,
  );
  expect(crossFitted.ece).toBeCloseTo(ece, 1);
  expect(fit?.atEdge).toBe(false);
});

test("halves are fitted apart: a half that is wrong does not vouch for itself", () => {
  const meter = new TemperatureMeter();
  // even images are right and sure, odd ones wrong and sure
  for (let i = 0; i < 100; i++) meter.add(Float32Array.from([4, 0]), i % 2, i);
  const { crossFitted, temperature = 0 } = meter.result() ?? {};
  expect(temperature).toBeGreaterThan(40); // together they are a coin
  expect(crossFitted?.loss).toBeGreaterThan(4); // each at the other's temperature is worse than a coin
});

test("says when the best lies at the end, leaves out what is not a number, and needs both halves", () => {
  const meter = new TemperatureMeter();
  meter.add(Float32Array.from([Number.NaN, 1]), 0, 1);
  expect(meter.result()).toBeUndefined();
  for (let i = 0; i < 10; i++) meter.add(Float32Array.from([0.1, 0]), 0, i); // always right: the surer the better
  expect(meter.result()).toMatchObject({ atEdge: true, temperature: 0.25 });
});
