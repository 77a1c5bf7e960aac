/** A record of one side of a join. */
export interface Tagged<L, R> {
  readonly side: 'left' | 'right';
  readonly value: L | R;
}
