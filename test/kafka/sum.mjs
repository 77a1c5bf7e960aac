/** Adds up the numbers of each key. */
export class Sum {
  init(context) {
    this.sums = context.slab('sum', { sum: ['f64', 1], count: ['i32', 1] });
  }

  process(record, out) {
    if (!this.sums.has(record)) this.sums.create(record);
    const sum = this.sums.f64('sum');
    const count = this.sums.i32('count');
    sum[record.row] += record.value;
    count[record.row]++;
    out.emit(`${record.key} ${count[record.row]} ${sum[record.row]}`, record.time);
  }
}
