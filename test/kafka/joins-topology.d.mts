export const WITHIN_MS: number;
export const WINDOW_MS: number;
export const ROOM_PARTITIONS: number;
