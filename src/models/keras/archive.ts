import { strFromU8, unzipSync } from 'fflate';
import { invalid, KERAS_LIMITS } from './limits.ts';

/** The parts of a `.keras` file: a zip with the model's description and its weights. */
export interface KerasArchive {
  readonly config: string;
  readonly metadata: string;
  readonly weights: Uint8Array;
}

const LIMITS: Readonly<Record<string, number>> = {
  'config.json': KERAS_LIMITS.configBytes,
  'metadata.json': KERAS_LIMITS.metadataBytes,
  'model.weights.h5': KERAS_LIMITS.fileBytes,
};

/**
 * Unpacks the three known parts, each within its limit before anything is allocated; whatever else is in the archive
 * stays packed.
 * @throws MODEL_INVALID
 */
export function readArchive(bytes: Uint8Array): KerasArchive {
  let tooLarge = '';
  let parts: Record<string, Uint8Array>;
  const seen = new Set<string>();
  try {
    parts = unzipSync(bytes, {
      filter({ name, originalSize, size }) {
        const limit = LIMITS[name];
        if (limit === undefined) return false;
        if (seen.has(name)) tooLarge = `holds ${name} twice`;
        seen.add(name);
        if (originalSize > limit || size > bytes.length) tooLarge = `holds ${name} of ${originalSize} bytes`;
        return tooLarge === '';
      },
    });
  } catch {
    throw invalid('the file is a damaged zip archive');
  }
  if (tooLarge !== '') throw invalid(`the archive ${tooLarge}; at most ${KERAS_LIMITS.fileBytes} bytes are read`);
  const part = (name: string) => {
    const found = parts[name];
    if (found === undefined) throw invalid(`the archive does not hold ${name}: it is no Keras file, or cut off`);
    return found;
  };
  const weights = part('model.weights.h5');
  const metadata = parts['metadata.json'];
  return {
    config: strFromU8(part('config.json')),
    metadata: metadata === undefined ? '{}' : strFromU8(metadata),
    weights,
  };
}
