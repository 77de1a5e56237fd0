/**
 * Finds the endpoints of a path segment by segment. Express tries its routes one after another, which with a hundred of them
 * costs more than all middlewares together; here the cost is that of the path's own length.
 */
import { BadRequest } from '../../lib/errors';

interface Node<T> {
  readonly literals: Map<string, Node<T>>;
  parameter: Node<T> | undefined;
  entry: { readonly value: T; readonly names: readonly string[] } | undefined;
}

export interface Match<T> {
  readonly value: T;
  readonly params: Readonly<Record<string, string>>;
}

const newNode = <T>(): Node<T> => ({ literals: new Map(), parameter: undefined, entry: undefined });
const segmentsOf = (path: string): string[] => (path.length > 1 && path.endsWith('/') ? path.slice(1, -1) : path.slice(1)).split('/');

export class PathIndex<T> {
  readonly #root: Node<T> = newNode();

  /**
   * @param path Express notation: literal segments and `:name`
   * @throws Error when the same path is there under other parameter names
   */
  add(path: string, value: T): void {
    const names: string[] = [];
    let node = this.#root;
    for (const segment of segmentsOf(path)) {
      if (segment.startsWith(':')) {
        names.push(segment.slice(1));
        node.parameter ??= newNode();
        node = node.parameter;
      } else {
        const next = node.literals.get(segment) ?? newNode<T>();
        node.literals.set(segment, next);
        node = next;
      }
    }
    if (node.entry && node.entry.names.join() !== names.join())
      throw new Error(`${path} names its parameters otherwise than the same path before it`);
    node.entry = { value, names };
  }

  get(path: string): T | undefined {
    let node: Node<T> | undefined = this.#root;
    for (const segment of segmentsOf(path)) node = segment.startsWith(':') ? node?.parameter : node?.literals.get(segment);
    return node?.entry?.value;
  }

  /**
   * All entries that fit, the one with the most literal beginning first, until `accept` takes one. A trailing slash is no segment.
   * @throws BadRequest for a parameter that cannot be decoded
   */
  find(path: string, accept: (value: T) => boolean): Match<T> | undefined {
    return this.#search(this.#root, segmentsOf(path), 0, [], accept);
  }

  #search(
    node: Node<T>,
    segments: readonly string[],
    at: number,
    values: readonly string[],
    accept: (value: T) => boolean,
  ): Match<T> | undefined {
    if (at === segments.length) {
      if (!node.entry || !accept(node.entry.value)) return undefined;
      return { value: node.entry.value, params: paramsOf(node.entry.names, values) };
    }
    const segment = segments[at] as string;
    const literal = node.literals.get(segment);
    const found = literal && this.#search(literal, segments, at + 1, values, accept);
    if (found || !node.parameter || segment === '') return found;
    return this.#search(node.parameter, segments, at + 1, [...values, segment], accept);
  }
}

const NONE: Readonly<Record<string, string>> = Object.freeze({});

function paramsOf(names: readonly string[], values: readonly string[]): Readonly<Record<string, string>> {
  if (names.length === 0) return NONE;
  const params: Record<string, string> = {};
  names.forEach((name, index) => {
    params[name] = decoded(values[index] as string);
  });
  return params;
}

function decoded(value: string): string {
  if (!value.includes('%')) return value;
  try {
    return decodeURIComponent(value);
  } catch (cause) {
    throw new BadRequest('Malformed request', { cause });
  }
}
