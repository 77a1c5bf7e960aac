import { FleetcastError } from '../../errors.ts';

/** Bounds that a hostile file is held to. The number of weights is bounded by what an artefact may hold. */
export const KERAS_LIMITS = {
  /** Of the file, and of the weights in an archive. */
  fileBytes: 512 * 1024 * 1024,
  configBytes: 16 * 1024 * 1024,
  metadataBytes: 64 * 1024,
  /** Of one attribute of an HDF5 file. */
  attributeBytes: 16 * 1024 * 1024,
  layers: 200,
  /** Of the whole import; the thread is ended then. */
  milliseconds: 60_000,
} as const;

export function invalid(problem: string, details: Record<string, unknown> = {}): FleetcastError {
  return new FleetcastError('MODEL_INVALID', problem, { details });
}
