/** Where this process gets the documents of the whole cluster: a worker's link to the primary, or nowhere when it serves alone. */
import type { OpsSource } from './cluster-ports';

let source: OpsSource | null = null;

export function setOpsSource(next: OpsSource | null): void {
  source = next;
}

export const opsSource = (): OpsSource | null => source;
