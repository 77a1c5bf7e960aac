/** Where the request of a kind begins in what was sent: size as i32, kind as i16. -1 where there is none. */
export function frameOf(data: Buffer, kind: number): number {
  for (let at = 0; at + 6 <= data.length; at += 4 + data.readInt32BE(at)) {
    if (data.readInt16BE(at + 4) === kind) return at;
    if (data.readInt32BE(at) < 0) return -1;
  }
  return -1;
}
