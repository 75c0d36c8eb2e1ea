/** Rows of numbers in typed columns, in order of one column, the oldest given up when there are too many. */

export class Ring<K extends string> {
  private columns: Record<K, Float64Array>;
  private start = 0;
  private end = 0;

  /** Columns named `names`, ordered by `key`; at most `most` rows are kept. */
  constructor(
    readonly names: readonly K[],
    readonly key: K,
    readonly most: number,
    capacity = 4096,
  ) {
    this.columns = this.allocate(capacity);
  }

  private allocate(capacity: number): Record<K, Float64Array> {
    return Object.fromEntries(this.names.map((name) => [name, new Float64Array(capacity)])) as Record<K, Float64Array>;
  }

  get size(): number {
    return this.end - this.start;
  }

  /** Return a column's rows from `first` up to `last`, not copied: they hold until the next change. */
  column(name: K, first = 0, last = this.size): Float64Array {
    return this.columns[name].subarray(this.start + first, this.start + last);
  }

  /** Add a row where its key belongs, which is nearly always the end. */
  add(row: Record<K, number>): void {
    if (this.end === this.columns[this.key].length) this.makeRoom();
    let place = this.end++;
    const keys = this.columns[this.key];
    while (place > this.start && keys[place - 1]! > row[this.key]) place -= 1;
    for (const name of this.names) {
      const column = this.columns[name];
      if (place < this.end - 1) column.copyWithin(place + 1, place, this.end - 1);
      column[place] = row[name];
    }
    if (this.size > this.most) this.start = this.end - this.most;
  }

  /** Move the rows into new columns, so that columns handed out before stay as they were. */
  private makeRoom(): void {
    const size = this.size;
    const capacity = this.columns[this.key].length;
    const next = this.allocate(size > capacity / 2 ? capacity * 2 : capacity);
    for (const name of this.names) next[name].set(this.column(name));
    this.columns = next;
    this.start = 0;
    this.end = size;
  }

  /** Give up the rows whose key is below `limit`. */
  dropBelow(limit: number): void {
    const keys = this.columns[this.key];
    while (this.start < this.end && keys[this.start]! < limit) this.start += 1;
  }

  /** Take out every row whose `name` is `limit` or more; return how many. */
  removeFrom(name: K, limit: number): number {
    const judged = this.columns[name];
    let kept = this.start;
    for (let i = this.start; i < this.end; i++) {
      if (judged[i]! >= limit) continue;
      if (kept !== i) for (const each of this.names) this.columns[each][kept] = this.columns[each][i]!;
      kept += 1;
    }
    const removed = this.end - kept;
    this.end = kept;
    return removed;
  }

  clear(): void {
    this.start = 0;
    this.end = 0;
  }

  /** Return a copy with columns of its own. */
  copy(): Ring<K> {
    const twin = new Ring(this.names, this.key, this.most, Math.max(16, this.size));
    for (const name of this.names) twin.columns[name].set(this.column(name));
    twin.end = this.size;
    return twin;
  }
}
