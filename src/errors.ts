/**
 * The one table of errors. A code is stable across versions: scripts may match on it. `docs/errors.md` lists the same
 * codes, and a test keeps the two in step.
 */
export interface ErrorEntry {
  /** What has happened, for the person who reads the message. */
  readonly meaning: string;
  /** What that person should do. */
  readonly action: string;
  /** True when the same call may succeed later with nothing changed. */
  readonly retryable: boolean;
}

export const ERRORS = {
  CONFIG_INVALID: {
    meaning: 'The configuration file has a field that is missing, unknown or of the wrong kind.',
    action: 'Correct the named line; `fleetcast init` writes a commented example.',
    retryable: false,
  },
  CONFIG_UNREADABLE: {
    meaning: 'The configuration file cannot be read or is not YAML.',
    action: 'Check the path, the permissions and the syntax at the named line.',
    retryable: false,
  },
  USAGE: {
    meaning:
      'Something was asked for that cannot be done so: an option that is missing, unknown or out of range, or a name that is not there.',
    action: 'Do as the message says; `--help` shows how a command is called.',
    retryable: false,
  },
  CODEC_UNKNOWN_SCHEMA: {
    meaning: 'A record was written with a schema that this version does not know.',
    action: 'Upgrade fleetcast, or make the schema available on the schemas topic.',
    retryable: false,
  },
  CODEC_MALFORMED: {
    meaning: 'The bytes of a record do not decode with the schema they name.',
    action: 'The record is damaged or was written by another program; it is named by topic, partition and offset.',
    retryable: false,
  },
  CODEC_INVALID_VALUE: {
    meaning: 'A value does not fit the schema that it should be encoded with.',
    action: 'This is a defect in the code that made the value; report it with the message.',
    retryable: false,
  },
  LOG_CLOSED: {
    meaning: 'The log was used after it had been closed.',
    action: 'This is a defect in the calling code.',
    retryable: false,
  },
  LOG_UNAVAILABLE: {
    meaning: 'The log cannot be reached or does not answer.',
    action: 'Bring the log back. A service that runs waits and goes on by itself; so does one that starts on Kafka.',
    retryable: true,
  },
  LOG_REFUSED: {
    meaning: 'Kafka does not accept the login or the certificate, or the login lacks a right.',
    action: 'Check `log.kafka.sasl` and `log.kafka.tls`, and the rights of the user; docs/kafka.md lists them.',
    retryable: false,
  },
  REGISTRY_UNAVAILABLE: {
    meaning: 'No schema registry answers.',
    action: 'Bring the registry back; what is known of it already goes on without it.',
    retryable: true,
  },
  REGISTRY_REFUSED: {
    meaning:
      'The schema registry refuses a request: the login, its rights, or a schema that has to be registered first.',
    action: 'Check user, password and token under `log.kafka.registry`, or register the named subject.',
    retryable: false,
  },
  REGISTRY_INCOMPATIBLE: {
    meaning: "A subject's rule in the schema registry does not allow this version's schema.",
    action:
      'Another program owns the subject, or its rule is stricter: choose other names with `subjects`, or relax it.',
    retryable: false,
  },
  LOG_TOPIC_UNKNOWN: {
    meaning: 'The topic does not exist.',
    action: 'Create the topic, or check the topic prefix in the configuration.',
    retryable: false,
  },
  LOG_TOPIC_MISMATCH: {
    meaning: 'An existing topic has other partitions, compaction or retention than the configuration asks for.',
    action: 'Change the topic or the configuration as the message says; nothing was altered.',
    retryable: false,
  },
  LOG_OFFSET_OUT_OF_RANGE: {
    meaning: 'The wanted offset is no longer on the log, or not yet.',
    action: 'Read from the earliest offset that is left; raise the retention if records are still needed.',
    retryable: false,
  },
  LOG_FENCED: {
    meaning: 'Another writer has taken over this partition; this one may not write any more.',
    action: 'Nothing: the other process goes on. Repeated fencing means that two processes use one name.',
    retryable: false,
  },
  LOG_GROUP_BUSY: {
    meaning: 'The group still has members.',
    action: 'Stop the processes of the group first.',
    retryable: true,
  },
  LOG_RECORD_TOO_LARGE: {
    meaning: 'A record is larger than the log accepts.',
    action: 'Raise the limit in the configuration or send smaller messages.',
    retryable: false,
  },
  LOG_FULL: {
    meaning: 'The disk or the configured size of the log is full.',
    action: 'Free space, raise the size or shorten the retention; nothing unacknowledged was lost.',
    retryable: true,
  },
  DATA_FOLDER_DAMAGED: {
    meaning: 'The data folder is damaged or is no data folder of fleetcast.',
    action: 'Restore it from a copy, or start with another folder; it was left untouched.',
    retryable: false,
  },
  DATA_FOLDER_MISSING: {
    meaning: 'There is no data folder where the configuration says, so there is nothing to read.',
    action: 'Check log.embedded.path; `fleetcast run` makes the folder.',
    retryable: false,
  },
  DATA_FOLDER_READ_ONLY: {
    meaning: 'The data folder cannot be written, and reading it takes that too: readers are registered in it.',
    action:
      'Give this user the right to write, mount it writable, or work on a copy of the folder that can be written.',
    retryable: false,
  },
  DATA_FOLDER_NEWER: {
    meaning: 'The data folder was written by a newer version.',
    action: 'Use that version or newer; the folder was left untouched.',
    retryable: false,
  },
  TOPOLOGY_INVALID: {
    meaning: 'The topology cannot run as it is described.',
    action: 'Correct the named node.',
    retryable: false,
  },
  STATE_ORPHANED: {
    meaning: 'Stored state belongs to a node that the topology no longer has, or has with another codec.',
    action:
      'Give the node its old name, supply a migration, give up the state of single nodes with the engine option `discardState`, or begin anew: `fleetcast reset` (in the library `resetGroup`).',
    retryable: false,
  },
  HISTORY_INTERVAL: {
    meaning: 'The history has buckets of another length than the configuration.',
    action:
      'Set `pipeline.interval` back. Or keep the old history apart: give the new one a topic of its own with `topics.names.history`, and begin anew with `fleetcast reset`.',
    retryable: false,
  },
  STATE_LOG_CUT: {
    meaning: 'Input that was not read yet, or that is needed to rebuild the state, has been deleted by retention.',
    action:
      'Begin anew: `fleetcast reset` (in the library `resetGroup`), or go on without what is lost (`acceptCutLog`, which counts it); and raise the retention of the input topic.',
    retryable: false,
  },
  RESET_UNFINISHED: {
    meaning: 'A reset was cut off, or is under way: part of the state and of the progress is gone.',
    action: 'Let the reset come to its end: `fleetcast reset --yes` once more (in the library `resetGroup`).',
    retryable: false,
  },
  STATE_BEHIND: {
    meaning: 'The stored state of a task is not that of the offsets which its group has committed.',
    action:
      'The task tries again by itself. Where that does not help, somebody has set the offsets or deleted state: begin anew with `fleetcast reset` (in the library `resetGroup`).',
    retryable: true,
  },
  STATE_ELSEWHERE: {
    meaning: 'The state that was asked for is that of a partition which this process does not have (any more).',
    action: 'Ask the process that has the partition, or once more: it may be just moving.',
    retryable: true,
  },
  STATE_TOO_LARGE: {
    meaning:
      'The state of one key is larger than a record that the log takes, so that it cannot be kept. Its task stops.',
    action:
      'Bound what the named node keeps of a key, or open the log with a larger `maxRecordBytes` (on Kafka raise `max.message.bytes` of the state topic too); the task goes on from its last commit, and nothing is lost.',
    retryable: false,
  },
  STATE_TIMEOUT: {
    meaning: 'A task did not give its state in time: it restores, waits for a model or the log, or is stuck.',
    action: 'Ask again when `/health` shows the task running.',
    retryable: true,
  },
  OPERATOR_FAILED: {
    meaning: 'An operator threw on a record.',
    action: 'See the cause; choose a policy for the node (fail, dead-letter or retry).',
    retryable: false,
  },
  BROKER_FAILED: {
    meaning: 'The embedded MQTT broker cannot start as it is configured.',
    action: 'Choose a free port, or give users and passwords where others can reach the address.',
    retryable: false,
  },
  BRIDGE_CONNECT: {
    meaning: 'The MQTT broker cannot be reached or refuses the connection.',
    action: 'Check address, credentials and certificates. A service that runs keeps trying.',
    retryable: true,
  },
  BRIDGE_OVERLAP: {
    meaning: 'Another service writes the same MQTT messages to this log: each would count twice.',
    action:
      'End the other one, or share the work: the same `broker.sharedGroup` for both, or topics that do not overlap. One that was killed on another machine is forgotten after 30 seconds.',
    retryable: true,
  },
  BRIDGE_PAYLOAD: {
    meaning: 'A message could not be turned into readings.',
    action: 'See the reason in the dead letter; mend the mapping or the device.',
    retryable: false,
  },
  HTTP_FAILED: {
    meaning: 'The page and the HTTP interfaces cannot be served.',
    action: 'Choose another `http.port` (0 takes a free one) or end the program that has it.',
    retryable: false,
  },
  CSV_INVALID: {
    meaning: 'The CSV file cannot be read, or not played as the options describe it.',
    action: 'Check the path and the permissions, or columns, time format and conventions at the named line.',
    retryable: false,
  },
  PARQUET_INVALID: {
    meaning: 'The Parquet file cannot be read or written, or holds other columns than a history has.',
    action: 'Check that the file is whole and has the columns device, quantity, time and value; export shows the form.',
    retryable: false,
  },
  MODEL_UNKNOWN: {
    meaning: 'No model with this id or name is on the models topic.',
    action: 'List the models; ids may be shortened as long as they stay unique.',
    retryable: false,
  },
  MODEL_INVALID: {
    meaning: 'A model artefact is malformed, too large or inconsistent.',
    action: 'Train or import the model again.',
    retryable: false,
  },
  MODEL_DISAGREES: {
    meaning: 'The served forecast of a model differs from the reference computation by more than the tolerance.',
    action: 'Do not use the model; report it. The model in use stays.',
    retryable: false,
  },
  NOT_REPRODUCED: {
    meaning: 'What was made again from the log is not, bit for bit, what the log holds.',
    action: 'Compare versions of the arithmetic and the configuration; with both the same this is a defect.',
    retryable: false,
  },
  TRAINING_TOO_LITTLE_DATA: {
    meaning: 'The history does not hold enough complete windows to train and validate a model.',
    action: 'Wait for more buckets, or choose a shorter lookback or horizon.',
    retryable: true,
  },
  TRAINING_DIVERGED: {
    meaning: 'The loss became infinite, not a number, or much worse than at the start.',
    action: 'Lower the learning rate or check the data; the model in use stays.',
    retryable: true,
  },
  TRAINING_CANCELLED: {
    meaning: 'The training was cancelled.',
    action: 'Start it again when wanted.',
    retryable: true,
  },
  BACKTEST_LEAK: {
    meaning: 'A backtest has used what was not known yet at the time: its numbers would be worth nothing.',
    action: 'This is a defect: please report it with the message.',
    retryable: false,
  },
  CHECKPOINT_UNUSABLE: {
    meaning:
      'A training checkpoint is damaged, or belongs to other data, settings, initial weights or another trainer.',
    action: 'Train from the beginning; the request is still on the log.',
    retryable: false,
  },
  TRAINER_UNAVAILABLE: {
    meaning: 'The wanted training backend cannot be loaded.',
    action: 'Run `fleetcast doctor`; choose another backend.',
    retryable: false,
  },
} as const satisfies Record<string, ErrorEntry>;

export type ErrorCode = keyof typeof ERRORS;

/** An error from the table. `message` names the file, field, topic or device at fault. */
export class FleetcastError extends Error {
  readonly code: ErrorCode;
  readonly retryable: boolean;
  /** Facts for machines: topic, partition, offset, device, field … */
  readonly details: Readonly<Record<string, unknown>>;

  constructor(code: ErrorCode, message: string, options: { cause?: unknown; details?: Record<string, unknown> } = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.name = 'FleetcastError';
    this.code = code;
    this.retryable = ERRORS[code].retryable;
    this.details = options.details ?? {};
  }

  /** What the reader of this error should do about it. */
  get action(): string {
    return ERRORS[this.code].action;
  }
}

export function isFleetcastError(error: unknown, code?: ErrorCode): error is FleetcastError {
  return error instanceof FleetcastError && (code === undefined || error.code === code);
}

/** The message of anything that was thrown. */
export function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
