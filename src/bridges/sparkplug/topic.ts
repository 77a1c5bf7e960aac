export type MessageType = 'NBIRTH' | 'DBIRTH' | 'NDATA' | 'DDATA' | 'NDEATH' | 'DDEATH' | 'NCMD' | 'DCMD' | 'STATE';

export interface SparkplugTopic {
  readonly namespace: string;
  readonly group: string;
  readonly type: MessageType;
  readonly node: string;
  /** Empty for messages of the edge node itself. */
  readonly device: string;
}

const TYPES: ReadonlySet<string> = new Set(['NBIRTH', 'DBIRTH', 'NDATA', 'DDATA', 'NDEATH', 'DDEATH', 'NCMD', 'DCMD']);

/** `spBv1.0/group/DDATA/node/device` and `spBv1.0/STATE/host`; undefined for what is none of Sparkplug's topics. */
export function parseSparkplugTopic(topic: string): SparkplugTopic | undefined {
  const [namespace = '', group = '', type = '', node = '', device = '', ...more] = topic.split('/');
  if (group === 'STATE' && type !== '') return { namespace, group, type: 'STATE', node: type, device: '' };
  if (!TYPES.has(type) || group === '' || node === '' || more.length > 0) return undefined;
  const ofDevice = type.startsWith('D');
  if (ofDevice !== (device !== '')) return undefined;
  return { namespace, group, type: type as MessageType, node, device };
}
