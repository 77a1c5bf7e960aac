/** `(value − mean) / deviation`; a series without deviation has only zeros. Training and serving both call this. */
export function standardise(value: number, mean: number, deviation: number): number {
  return deviation > 0 ? (value - mean) / deviation : value - mean;
}
