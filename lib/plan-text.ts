/**
 * What EXPLAIN (FORMAT JSON) says of a statement, as indented lines without literals: conditions of a plan repeat the statement's
 * values, so they go through the same filter as the statement itself.
 */
import { fingerprint } from './fingerprint';

/** A node as PostgreSQL writes it (src/backend/commands/explain.c); only what is shown here. */
export interface PlanNode {
  'Node Type': string;
  'Relation Name'?: string;
  'Index Name'?: string;
  'Subplan Name'?: string;
  'Join Type'?: string;
  'Total Cost'?: number;
  'Plan Rows'?: number;
  Plans?: PlanNode[];
  [property: string]: unknown;
}

/** Conditions, in the order in which they are applied. */
const CONDITIONS = ['Index Cond', 'Recheck Cond', 'Hash Cond', 'Merge Cond', 'Join Filter', 'Filter'] as const;
const MAX_LINES = 60;

/** One line for each node and condition, at most 60. */
export function planLines(root: PlanNode): string[] {
  const lines: string[] = [];
  describe(root, 0, lines);
  return lines.length > MAX_LINES ? [...lines.slice(0, MAX_LINES - 1), `… ${lines.length - MAX_LINES + 1} more`] : lines;
}

function describe(node: PlanNode, depth: number, lines: string[]): void {
  const indent = '  '.repeat(depth);
  const what = [
    node['Subplan Name'] ? `${node['Subplan Name']}:` : '',
    node['Node Type'],
    node['Join Type'] && node['Join Type'] !== 'Inner' ? node['Join Type'] : '',
    node['Relation Name'] ? `on ${node['Relation Name']}` : '',
    node['Index Name'] ? `using ${node['Index Name']}` : '',
  ];
  lines.push(`${indent}${what.filter(Boolean).join(' ')} (cost ${node['Total Cost'] ?? '?'}, rows ${node['Plan Rows'] ?? '?'})`);
  for (const name of CONDITIONS) {
    const condition = node[name];
    if (typeof condition === 'string') lines.push(`${indent}  ${name}: ${fingerprint(condition)}`);
  }
  for (const child of node.Plans ?? []) describe(child, depth + 1, lines);
}
