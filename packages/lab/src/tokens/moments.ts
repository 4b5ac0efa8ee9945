/** Means and deviations of many numbers at once, from one row after another (Welford 1962): rows are not kept. */

export class Moments {
  #rows = 0;
  readonly #mean: Float64Array;
  /** Sums of squared distances from the mean. */
  readonly #squares: Float64Array;

  constructor(width: number) {
    this.#mean = new Float64Array(width);
    this.#squares = new Float64Array(width);
  }

  add(row: ArrayLike<number>): void {
    if (row.length !== this.#mean.length)
      throw new RangeError(`a row of ${row.length} numbers among rows of ${this.#mean.length}`);
    this.#rows++;
    for (let i = 0; i < row.length; i++) {
      const value = row[i] as number;
      const mean = this.#mean[i] as number;
      const moved = mean + (value - mean) / this.#rows;
      this.#squares[i] = (this.#squares[i] as number) + (value - mean) * (value - moved);
      this.#mean[i] = moved;
    }
  }

  get rows(): number {
    return this.#rows;
  }

  /** Of every column. */
  get mean(): Float64Array {
    return this.#mean.slice();
  }

  /** Standard deviation of every column over the rows (of a sample: n − 1); 0 for one row. */
  get deviation(): Float64Array {
    return this.#squares.map((sum) => Math.sqrt(sum / Math.max(this.#rows - 1, 1)));
  }
}
