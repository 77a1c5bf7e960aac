declare module 'fs-native-extensions' {
  /** Blocks the thread until the open file has the lock; it goes with the last descriptor of that opening, or the process. */
  export function waitForLockSync(fd: number): void;
  export function unlock(fd: number): void;
}
