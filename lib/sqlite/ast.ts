/**
 * The part of PostgreSQL's parse tree that is read here, as libpg-query prints it: a node is an object with one key, its kind.
 * Fields at their default (0, false, '') are left out of the print. Names as in PostgreSQL's `parsenodes.h`.
 */
export type Node = { readonly [Kind in keyof Nodes]?: Nodes[Kind] };

export interface TypeName {
  names: Node[];
  typmods?: Node[];
  arrayBounds?: Node[];
}

export interface Alias {
  aliasname: string;
  colnames?: Node[];
}

export interface RangeVar {
  schemaname?: string;
  relname: string;
  alias?: Alias;
}

export interface WithClause {
  ctes: Node[];
  recursive?: boolean;
}

export interface WindowDef {
  name?: string;
  partitionClause?: Node[];
  orderClause?: Node[];
  frameOptions?: number;
}

export interface FuncCall {
  funcname: Node[];
  args?: Node[];
  agg_order?: Node[];
  agg_filter?: Node;
  agg_star?: boolean;
  agg_distinct?: boolean;
  agg_within_group?: boolean;
  over?: WindowDef;
}

export interface SelectStmt {
  distinctClause?: Node[];
  targetList?: Node[];
  fromClause?: Node[];
  whereClause?: Node;
  groupClause?: Node[];
  havingClause?: Node;
  windowClause?: Node[];
  valuesLists?: Node[];
  sortClause?: Node[];
  limitOffset?: Node;
  limitCount?: Node;
  withClause?: WithClause;
  op: 'SETOP_NONE' | 'SETOP_UNION' | 'SETOP_INTERSECT' | 'SETOP_EXCEPT';
  all?: boolean;
  larg?: SelectStmt;
  rarg?: SelectStmt;
}

export interface Returning {
  exprs?: Node[];
}

export interface InsertStmt {
  relation: RangeVar;
  cols?: Node[];
  selectStmt?: Node;
  onConflictClause?: {
    action: 'ONCONFLICT_NOTHING' | 'ONCONFLICT_UPDATE';
    infer?: { indexElems?: Node[]; whereClause?: Node; conname?: string };
    targetList?: Node[];
    whereClause?: Node;
  };
  returningClause?: Returning;
  withClause?: WithClause;
}

export interface UpdateStmt {
  relation: RangeVar;
  targetList: Node[];
  fromClause?: Node[];
  whereClause?: Node;
  returningClause?: Returning;
  withClause?: WithClause;
}

export interface DeleteStmt {
  relation: RangeVar;
  usingClause?: Node[];
  whereClause?: Node;
  returningClause?: Returning;
  withClause?: WithClause;
}

export interface Constraint {
  contype: string;
  conname?: string;
  raw_expr?: Node;
  generated_when?: string;
  keys?: Node[];
  exclusions?: Node[];
  where_clause?: Node;
  pktable?: RangeVar;
  fk_attrs?: Node[];
  pk_attrs?: Node[];
  fk_del_action?: string;
}

export interface ColumnDef {
  colname: string;
  typeName: TypeName;
  constraints?: Node[];
}

export interface IndexStmt {
  idxname: string;
  relation: RangeVar;
  indexParams: Node[];
  whereClause?: Node;
  unique?: boolean;
}

export interface JoinExpr {
  jointype: 'JOIN_INNER' | 'JOIN_LEFT' | 'JOIN_RIGHT' | 'JOIN_FULL';
  isNatural?: boolean;
  larg: Node;
  rarg: Node;
  usingClause?: Node[];
  quals?: Node;
  alias?: Alias;
}

export interface RangeFunction {
  ordinality?: boolean;
  functions: Node[];
  alias?: Alias;
  coldeflist?: Node[];
}

export interface GrantStmt {
  is_grant?: boolean;
  objtype: string;
  objects?: Node[];
  privileges?: Node[];
}

export interface AExpr {
  kind: string;
  name: Node[];
  lexpr?: Node;
  rexpr?: Node;
}

export interface AConst {
  ival?: { ival?: number };
  fval?: { fval?: string };
  boolval?: { boolval?: boolean };
  sval?: { sval?: string };
  isnull?: boolean;
}

export interface SubLink {
  subLinkType: string;
  testexpr?: Node;
  operName?: Node[];
  subselect: Node;
}

export interface ResTarget {
  name?: string;
  val?: Node;
}

export interface SortBy {
  node: Node;
  sortby_dir: string;
  sortby_nulls: string;
}

interface Nodes {
  String: { sval?: string };
  Integer: { ival?: number };
  A_Const: AConst;
  ParamRef: { number: number };
  ColumnRef: { fields: Node[] };
  A_Star: object;
  TypeCast: { arg: Node; typeName: TypeName };
  FuncCall: FuncCall;
  NamedArgExpr: { name: string; arg: Node };
  A_Expr: AExpr;
  BoolExpr: { boolop: 'AND_EXPR' | 'OR_EXPR' | 'NOT_EXPR'; args: Node[] };
  NullTest: { arg: Node; nulltesttype: 'IS_NULL' | 'IS_NOT_NULL' };
  BooleanTest: { arg: Node; booltesttype: string };
  CaseExpr: { arg?: Node; args: Node[]; defresult?: Node };
  CaseWhen: { expr: Node; result: Node };
  CoalesceExpr: { args: Node[] };
  MinMaxExpr: { op: 'IS_GREATEST' | 'IS_LEAST'; args: Node[] };
  SubLink: SubLink;
  RowExpr: { args: Node[] };
  A_ArrayExpr: { elements?: Node[] };
  A_Indirection: { arg: Node; indirection: Node[] };
  A_Indices: { is_slice?: boolean; lidx?: Node; uidx?: Node };
  SQLValueFunction: { op: string };
  SetToDefault: object;
  List: { items: Node[] };
  ResTarget: ResTarget;
  SortBy: SortBy;
  WindowDef: WindowDef;
  RangeVar: RangeVar;
  RangeSubselect: { lateral?: boolean; subquery: Node; alias?: Alias };
  RangeFunction: RangeFunction;
  JoinExpr: JoinExpr;
  CommonTableExpr: { ctename: string; aliascolnames?: Node[]; ctequery: Node; ctematerialized?: string };
  SelectStmt: SelectStmt;
  InsertStmt: InsertStmt;
  UpdateStmt: UpdateStmt;
  DeleteStmt: DeleteStmt;
  TransactionStmt: { kind: string; savepoint_name?: string };
  DeclareCursorStmt: { portalname: string; query: Node };
  FetchStmt: { howMany?: number | string; portalname: string };
  VariableSetStmt: object;
  CreateStmt: { relation: RangeVar; tableElts: Node[] };
  ColumnDef: ColumnDef;
  Constraint: Constraint;
  AlterTableStmt: { relation: RangeVar; cmds: Node[] };
  AlterTableCmd: { subtype: string; def?: Node };
  IndexStmt: IndexStmt;
  IndexElem: { name?: string; expr?: Node; ordering: string };
  CreateFunctionStmt: { funcname: Node[]; parameters?: Node[]; returnType: TypeName; options: Node[] };
  FunctionParameter: { name: string; argType: TypeName };
  DefElem: { defname: string; arg?: Node };
  DoStmt: { args: Node[] };
  GrantStmt: GrantStmt;
  AccessPriv: { priv_name?: string };
}

export interface ParsedStatement {
  stmt: Node;
}

/** The strings of a list of String nodes: a dotted name, a list of columns. */
export const strings = (nodes: readonly Node[] = []): string[] => nodes.flatMap(({ String: text }) => (text ? [text.sval ?? ''] : []));

/** The last part of a dotted name: `pg_catalog.int8` -> `int8`. */
export const lastName = (nodes: readonly Node[]): string => strings(nodes).at(-1) ?? '';

/** The kind of a node, for messages. */
export const kindOf = (node: Node): string => Object.keys(node)[0] ?? 'empty node';

/** A table's one name: those of another schema than `public` keep it as a prefix. */
export const tableName = ({ schemaname, relname }: Pick<RangeVar, 'schemaname' | 'relname'>): string =>
  schemaname && schemaname !== 'public' ? `${schemaname}.${relname}` : relname;
