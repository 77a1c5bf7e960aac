import { describe, expect, it } from 'vitest';
import { buildArtefact } from './artefact.ts';
import { initSegmentLstm, segmentLstmSizes } from './segment-lstm/parameters.ts';
import { summarise } from './summary.ts';

describe('summary', () => {
  it('prints the layers as Keras does', () => {
    const shape = { lookback: 96, horizon: 24, season: 24 };
    const artefact = buildArtefact({
      family: 'segment-lstm',
      name: 'default',
      shape,
      interval: 3_600_000,
      architecture: { width: 64 },
      weights: initSegmentLstm(segmentLstmSizes(shape, { width: 64 }), 7),
      scaler: { kind: 'rolling', length: 168, series: new Map() },
      calibration: { level: 0.9, quantiles: new Array<number>(24).fill(1) },
      training: { ranges: [], trainEnd: 0, validationEnd: 0, seed: 7, trainer: 'test', settings: {}, windows: 0 },
      metrics: {},
      parent: '',
      createdAt: 0,
      note: '',
      licence: '',
    });
    expect(`\n${summarise(artefact)}\n`).toMatchInlineSnapshot(`
      "
      Model: "default"
      ┏━━━━━━━━━━━━━━━━━━━━━━━━━━━━┳━━━━━━━━━━━━━━━┳━━━━━━━━━┓
      ┃ Layer (type)               ┃ Output Shape  ┃ Param # ┃
      ┡━━━━━━━━━━━━━━━━━━━━━━━━━━━━╇━━━━━━━━━━━━━━━╇━━━━━━━━━┩
      │ window (InputLayer)        │ (None, 96)    │       0 │
      ├────────────────────────────┼───────────────┼─────────┤
      │ less_last_value (Subtract) │ (None, 96)    │       0 │
      ├────────────────────────────┼───────────────┼─────────┤
      │ segments (Reshape)         │ (None, 4, 24) │       0 │
      ├────────────────────────────┼───────────────┼─────────┤
      │ embedding (Dense)          │ (None, 4, 64) │   1,600 │
      ├────────────────────────────┼───────────────┼─────────┤
      │ lstm (LSTM)                │ (None, 64)    │  33,024 │
      ├────────────────────────────┼───────────────┼─────────┤
      │ positions (Embedding)      │ (None, 1, 64) │      64 │
      ├────────────────────────────┼───────────────┼─────────┤
      │ output (Dense)             │ (None, 1, 24) │   1,560 │
      ├────────────────────────────┼───────────────┼─────────┤
      │ plus_last_value (Add)      │ (None, 24)    │       0 │
      └────────────────────────────┴───────────────┴─────────┘
       Total params: 36,248 (141.59 KB)
       Trainable params: 36,248 (141.59 KB)
       Non-trainable params: 0 (0.00 B)
      "
    `);
  });
});
