/** The public API. What is not here is internal and may change in any release. */

export { ERRORS, type ErrorCode, FleetcastError, isFleetcastError } from './errors.ts';

// Records and their encoding
export { decode, decodeRecord, encode, encodeRecord } from './events/codec.ts';
export type {
  Activation,
  Alert,
  DeadLetter,
  FleetRecord,
  Forecast,
  ForecastInterval,
  HistoryFlush,
  HistorySegment,
  ModelEvent,
  NextEvent,
  Reading,
  ReplacedBucket,
  Score,
  ScoreEntry,
  StateSnapshot,
  Tick,
} from './events/records.ts';
export type { SchemaName } from './events/schema-registry.ts';
// The log
export { type EmbeddedLogOptions, openEmbeddedLog } from './log/embedded/embedded-log.ts';
export type {
  EventLog,
  GroupMember,
  GroupOptions,
  LogRecord,
  OutRecord,
  PartitionOffsets,
  PartitionPlace,
  PartitionWait,
  ReadBatch,
  ReadOptions,
  TaskWriter,
  TopicSpec,
} from './log/event-log.ts';
export type { Compression } from './log/kafka/compression.ts';
export { openKafkaLog } from './log/kafka/kafka-log.ts';
export type { KafkaLogOptions } from './log/kafka/kafka-options.ts';
export { MemoryLog, type MemoryLogOptions } from './log/memory/memory-log.ts';
export { murmur2, partitionFor } from './log/partitioner.ts';
// Operators and state
export type {
  Collector,
  DeferredCollector,
  Keyed,
  Operator,
  OperatorContext,
  OperatorFactory,
  Origins,
  Position,
  StreamRecord,
  Timers,
} from './operators/operator.ts';
export { numberCodec, stringCodec } from './state/codecs.ts';
export { jsonCodec } from './state/json-codec.ts';
export type {
  GlobalStore,
  KeyedStore,
  SlabLayout,
  SlabMigration,
  SlabRow,
  SlabStore,
  SlabType,
  StoreCodec,
  StoreMark,
} from './state/store.ts';
// Topologies
export type { Aside } from './topology/aside.ts';
export { type SourceOptions, type TableOptions, TopologyBuilder } from './topology/builder.ts';
export type { Counts } from './topology/counts.ts';
export { describeDot, describeMermaid, describeText } from './topology/describe.ts';
export { Engine, type EngineOptions } from './topology/engine.ts';
export type { EngineClock } from './topology/engine-clock.ts';
export type { StreamJoinOptions } from './topology/joins/stream-join-operator.ts';
export type { PartitionWaitStatus } from './topology/partition-waits.ts';
export { type ResetOffset, type ResetOptions, type ResetReport, resetGroup } from './topology/reset.ts';
export type { StandbyStatus } from './topology/standby.ts';
export type { StateRange, StateReader } from './topology/state-reader.ts';
export type { EngineStateReader, FoundState, StateRow } from './topology/state-search.ts';
export {
  type AggregateOptions,
  type KeyByOptions,
  type NodeOptions,
  NodeStream,
  type ReduceOptions,
  type SinkOptions,
  Stream,
  Table,
  WindowedStream,
} from './topology/stream.ts';
export type { BatchBounds, TaskEvent } from './topology/task-options.ts';
export type { InputStatus, TaskPhase, TaskStatus } from './topology/task-status.ts';
export { type SunkRecord, type TestDriverOptions, TopologyTestDriver } from './topology/test-driver.ts';
export { EngineThreads, type EngineThreadsOptions } from './topology/threads/engine-threads.ts';
export type { ThreadModule, ThreadSetup } from './topology/threads/messages.ts';
export type {
  Awaits,
  Edge,
  EncodedRecord,
  ErrorPolicy,
  OperatorNode,
  Prepare,
  SinkEncoder,
  SinkNode,
  SourceCodec,
  SourceItem,
  SourceNode,
  SourceRecord,
  SourceTick,
  TimeOf,
  Topology,
  TopologyNode,
  ValueCodec,
} from './topology/topology.ts';
export type { EmitMode } from './topology/windows/window-operator.ts';
export {
  type Aggregator,
  type AlignedOptions,
  type AlignedWindows,
  type EventTime,
  type EventTimeOptions,
  hopping,
  type SessionWindows,
  type SlidingWindows,
  session,
  sliding,
  tumbling,
  type Windowed,
  type WindowSpec,
} from './topology/windows/window-spec.ts';
