/** Expressions: each becomes SQLite's words with PostgreSQL's type. */
import { type AConst, type AExpr, kindOf, lastName, type Node, type SubLink, strings } from './ast';
import { callFunction } from './functions';
import { NotCarried } from './not-carried';
import { binaryOperator } from './operators';
import { isWholeRow, type Scope } from './scope';
import type { Translator } from './translator';
import { coerce, commonType, elementOf, isArray, quote, type SqlType, type Typed, typeOf } from './types';

const BOOL: SqlType = 'bool';
const bool = (sql: string): Typed => ({ sql: `(${sql})`, type: BOOL });

export class Expressions {
  readonly translator: Translator;

  constructor(translator: Translator) {
    this.translator = translator;
  }

  /** A value; a whole row is none. */
  value(node: Node, scope: Scope): Typed {
    const found = this.any(node, scope);
    if (isWholeRow(found) || found.type === 'record') throw new NotCarried(`a row as a value (${kindOf(node)})`);
    return found;
  }

  values(nodes: readonly Node[] | undefined, scope: Scope): Typed[] {
    return (nodes ?? []).map((node) => this.value(node, scope));
  }

  /** A condition: NULL counts as no. */
  condition(node: Node, scope: Scope): string {
    return coerce(this.value(node, scope), BOOL).sql;
  }

  any(node: Node, scope: Scope): Typed {
    if (node.A_Const) return constant(node.A_Const);
    if (node.ParamRef) return { sql: `?${node.ParamRef.number}`, type: 'unknown' };
    if (node.ColumnRef) return scope.resolve(strings(node.ColumnRef.fields));
    if (node.TypeCast) return this.#cast(node.TypeCast, scope);
    if (node.FuncCall) return callFunction(node.FuncCall, this, scope);
    if (node.A_Expr) return this.#operation(node.A_Expr, scope);
    if (node.BoolExpr) return this.#logic(node.BoolExpr, scope);
    if (node.NullTest) return this.#nullTest(node.NullTest, scope);
    if (node.BooleanTest) return this.#booleanTest(node.BooleanTest, scope);
    if (node.CaseExpr) return this.#case(node.CaseExpr, scope);
    if (node.CoalesceExpr)
      return this.#alike(node.CoalesceExpr.args, scope, (list) => (list.length === 1 ? `${list[0]}` : `coalesce(${list})`));
    if (node.MinMaxExpr) {
      const name = node.MinMaxExpr.op === 'IS_GREATEST' ? 'greatest2' : 'least2';
      return this.#alike(node.MinMaxExpr.args, scope, (list) => list.reduce((one, other) => `${name}(${one}, ${other})`));
    }
    if (node.SubLink) return this.#subquery(node.SubLink, scope);
    if (node.A_ArrayExpr) return this.#array(node.A_ArrayExpr.elements ?? [], scope);
    if (node.A_Indirection) return this.#element(node.A_Indirection, scope);
    if (node.SQLValueFunction) return valueFunction(node.SQLValueFunction.op);
    if (node.RowExpr) return { sql: `(${this.values(node.RowExpr.args, scope).map(({ sql }) => sql)})`, type: 'record' };
    throw new NotCarried(kindOf(node));
  }

  #cast({ arg, typeName }: NonNullable<Node['TypeCast']>, scope: Scope): Typed {
    const type = typeOf(typeName);
    if (arg.A_ArrayExpr && isArray(type)) return { ...this.#array(arg.A_ArrayExpr.elements ?? [], scope, elementOf(type)), type };
    return coerce(this.value(arg, scope), type);
  }

  #array(elements: readonly Node[], scope: Scope, wanted?: SqlType): Typed {
    const values = this.values(elements, scope);
    const element = wanted ?? commonType(values.map(({ type }) => type));
    const type = element === 'unknown' ? 'text' : element;
    return { sql: `json_array(${values.map((value) => coerce(value, type).sql)})`, type: `${type}[]` };
  }

  #element({ arg, indirection }: NonNullable<Node['A_Indirection']>, scope: Scope): Typed {
    const indices = indirection[0]?.A_Indices;
    if (indirection.length !== 1 || !indices) throw new NotCarried('a field of a row');
    const array = this.value(arg, scope);
    const upper = indices.uidx ? this.value(indices.uidx, scope).sql : 'NULL';
    if (!indices.is_slice) return { sql: `(${array.sql} ->> (${upper} - 1))`, type: elementOf(array.type) };
    const lower = indices.lidx ? this.value(indices.lidx, scope).sql : 'NULL';
    return { sql: `array_slice(${array.sql}, ${lower}, ${upper})`, type: array.type };
  }

  // ------------------------------------------------------------------ logic

  #logic({ boolop, args }: NonNullable<Node['BoolExpr']>, scope: Scope): Typed {
    const parts = args.map((arg) => this.condition(arg, scope));
    return boolop === 'NOT_EXPR' ? bool(`NOT ${parts[0]}`) : bool(parts.join(boolop === 'AND_EXPR' ? ' AND ' : ' OR '));
  }

  #nullTest({ arg, nulltesttype }: NonNullable<Node['NullTest']>, scope: Scope): Typed {
    return bool(`${this.value(arg, scope).sql} ${nulltesttype === 'IS_NULL' ? 'IS NULL' : 'IS NOT NULL'}`);
  }

  #booleanTest({ arg, booltesttype }: NonNullable<Node['BooleanTest']>, scope: Scope): Typed {
    const value = this.condition(arg, scope);
    const [, not, which] = /^IS_(NOT_)?(TRUE|FALSE|UNKNOWN)$/.exec(booltesttype) ?? [];
    const against = which === 'TRUE' ? '1' : which === 'FALSE' ? '0' : 'NULL';
    return bool(`${value} IS ${not ? 'NOT ' : ''}${against}`);
  }

  #case({ arg, args, defresult }: NonNullable<Node['CaseExpr']>, scope: Scope): Typed {
    const branches = args.flatMap(({ CaseWhen: when }) => (when ? [when] : []));
    const results = branches.map(({ result }) => this.value(result, scope));
    const otherwise = defresult && this.value(defresult, scope);
    const type = commonType([...results, ...(otherwise ? [otherwise] : [])].map((result) => result.type));
    const subject = arg && this.value(arg, scope);
    const when = branches.map(({ expr }, index) => {
      const test = subject ? binaryOperator('=', subject, this.value(expr, scope)).sql : this.condition(expr, scope);
      return `WHEN ${test} THEN ${coerce(results[index] as Typed, type).sql}`;
    });
    return { sql: `(CASE ${when.join(' ')}${otherwise ? ` ELSE ${coerce(otherwise, type).sql}` : ''} END)`, type };
  }

  #alike(nodes: readonly Node[], scope: Scope, join: (list: string[]) => string): Typed {
    const values = this.values(nodes, scope);
    const type = commonType(values.map((value) => value.type));
    return { sql: join(values.map((value) => coerce(value, type).sql)), type };
  }

  // ------------------------------------------------------------------ operators

  #operation(expression: AExpr, scope: Scope): Typed {
    const { kind, lexpr, rexpr } = expression;
    const name = lastName(expression.name);
    if (!rexpr) throw new NotCarried(`operator ${name} without an operand`);
    if (!lexpr) return this.#prefix(name, this.value(rexpr, scope));
    const row = lexpr.RowExpr;
    if (row) return this.#rows(name, row.args, rexpr, scope);
    const left = this.value(lexpr, scope);
    switch (kind) {
      case 'AEXPR_OP':
        return binaryOperator(name, left, this.value(rexpr, scope));
      case 'AEXPR_OP_ANY':
      case 'AEXPR_OP_ALL':
        return this.#member(name, left, this.value(rexpr, scope));
      case 'AEXPR_DISTINCT':
        return binaryOperator('IS NOT', left, this.value(rexpr, scope));
      case 'AEXPR_NOT_DISTINCT':
        return binaryOperator('IS', left, this.value(rexpr, scope));
      case 'AEXPR_NULLIF': {
        const right = this.value(rexpr, scope);
        return { sql: `nullif(${left.sql}, ${coerce(right, left.type).sql})`, type: left.type === 'unknown' ? right.type : left.type };
      }
      case 'AEXPR_IN': {
        const list = this.values(rexpr.List?.items, scope);
        const type = commonType([left, ...list].map((value) => value.type));
        const items = list.map((value) => coerce(value, type).sql);
        return bool(`${coerce(left, type).sql} ${name === '<>' ? 'NOT IN' : 'IN'} (${items})`);
      }
      case 'AEXPR_LIKE':
      case 'AEXPR_ILIKE': {
        const matches = `pg_like(${coerce(left, 'text').sql}, ${coerce(this.value(rexpr, scope), 'text').sql}, ${kind === 'AEXPR_ILIKE' ? 1 : 0})`;
        return bool(name.startsWith('!') ? `NOT ${matches}` : matches);
      }
      case 'AEXPR_BETWEEN':
      case 'AEXPR_NOT_BETWEEN': {
        const [low, high] = this.values(rexpr.List?.items, scope);
        if (!low || !high) throw new NotCarried('BETWEEN without bounds');
        const within = `${binaryOperator('>=', left, low).sql} AND ${binaryOperator('<=', left, high).sql}`;
        return bool(kind === 'AEXPR_BETWEEN' ? within : `NOT (${within})`);
      }
      default:
        throw new NotCarried(kind);
    }
  }

  #prefix(name: string, { sql, type }: Typed): Typed {
    if (name !== '-' && name !== '+') throw new NotCarried(`prefix operator ${name}`);
    return { sql: `(${name}${sql})`, type };
  }

  #rows(name: string, left: readonly Node[], other: Node, scope: Scope): Typed {
    const items = other.RowExpr?.args;
    if (!items) throw new NotCarried('a row compared with something else');
    const pairs = left.map((node, index) => {
      const one = this.value(node, scope);
      const two = this.value(items[index] ?? {}, scope);
      const type = commonType([one.type, two.type]);
      return [coerce(one, type).sql, coerce(two, type).sql] as const;
    });
    return bool(`(${pairs.map(([one]) => one)}) ${name} (${pairs.map(([, two]) => two)})`);
  }

  /** `x = ANY (array)`, `x <> ALL (array)`. */
  #member(name: string, left: Typed, array: Typed): Typed {
    if (name !== '=' && name !== '<>') throw new NotCarried(`${name} ANY`);
    const element = array.type === 'unknown' ? (left.type === 'unknown' ? 'text' : left.type) : elementOf(array.type);
    const list = coerce(array, `${element}[]`).sql;
    return bool(`${coerce(left, element).sql} ${name === '=' ? 'IN' : 'NOT IN'} (SELECT value FROM json_each(${list}))`);
  }

  #subquery({ subLinkType, testexpr, operName, subselect }: SubLink, scope: Scope): Typed {
    const query = this.translator.select(subselect, scope.child());
    const [first] = query.shape;
    switch (subLinkType) {
      case 'EXISTS_SUBLINK':
        return bool(`EXISTS (${query.sql})`);
      case 'EXPR_SUBLINK':
        return { sql: `(${query.sql})`, type: first?.type ?? 'unknown' };
      case 'ARRAY_SUBLINK': {
        const [name] = query.names;
        return { sql: `(SELECT json_group_array(${name}) FROM (${query.sql}))`, type: `${first?.type ?? 'text'}[]` };
      }
      case 'ANY_SUBLINK': {
        if (!testexpr || (operName && lastName(operName) !== '=')) throw new NotCarried('a comparison with ANY of a query');
        const tested = testexpr.RowExpr
          ? `(${this.values(testexpr.RowExpr.args, scope).map(({ sql, type }, i) => coerce({ sql, type }, query.shape[i]?.type ?? type).sql)})`
          : coerce(this.value(testexpr, scope), first?.type ?? 'unknown').sql;
        return bool(`${tested} IN (${query.sql})`);
      }
      default:
        throw new NotCarried(subLinkType);
    }
  }
}

function constant({ ival, fval, boolval, sval, isnull }: AConst): Typed {
  if (isnull) return { sql: 'NULL', type: 'unknown' };
  if (ival) return { sql: String(ival.ival ?? 0), type: 'int4' };
  if (boolval) return { sql: boolval.boolval ? '1' : '0', type: BOOL };
  if (fval) {
    const text = fval.fval ?? '0';
    return { sql: text, type: /^\d+$/.test(text) ? 'int8' : 'numeric' };
  }
  const text = sval?.sval ?? '';
  return { sql: quote(text), type: 'unknown', literal: text };
}

function valueFunction(op: string): Typed {
  if (op === 'SVFOP_CURRENT_DATE') return { sql: 'substr(now_(), 1, 10)', type: 'date' };
  if (op === 'SVFOP_CURRENT_TIMESTAMP') return { sql: 'now_()', type: 'timestamptz' };
  throw new NotCarried(op);
}
