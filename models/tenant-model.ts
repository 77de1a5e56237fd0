/**
 * Base of the models of tenant tables. Row-level security is the guarantee; these methods add the tenant to every query as
 * well, so that the plan uses the tenant-first keys and a mistake in one of the two is caught by the other.
 * `findByPk` must not be used: with a composite key it would look up by the first column alone.
 */
import { type Attributes, type CreationAttributes, type FindOptions, Model, type ModelStatic, type WhereOptions } from 'sequelize';
import { tenant } from '../lib/context';
import { NotFound } from '../lib/errors';
import { noteIncludes } from '../lib/include-watch';

export interface GetOptions {
  /** `SELECT … FOR UPDATE`: call it inside a transaction. */
  lock?: boolean;
  /** Message of the NotFound. */
  missing?: string;
}

// biome-ignore lint/suspicious/noExplicitAny: Sequelize's own bounds for attribute types
export abstract class TenantModel<A extends object = any, C extends object = A> extends Model<A, C> {
  declare tenantId: string;

  /** The tenant's row with this id. @throws NotFound when absent or another tenant's */
  static async get<M extends TenantModel>(
    this: ModelStatic<M>,
    id: number | string,
    { lock = false, missing = 'Not found' }: GetOptions = {},
  ): Promise<M> {
    const row = await this.findOne({ where: { tenantId: tenant().id, id } as unknown as WhereOptions<Attributes<M>>, lock });
    if (!row) throw new NotFound(missing);
    return row;
  }

  /** Every finder of Sequelize comes through here. */
  static override async findAll<M extends Model>(this: ModelStatic<M>, options?: FindOptions<Attributes<M>>): Promise<M[]> {
    const found = (await Model.findAll.call(this as never, options as never)) as unknown as M[];
    noteIncludes(this.name, found);
    return found;
  }

  /** The tenant's rows that match. For writes; reads of many rows are raw SQL. */
  static list<M extends TenantModel>(this: ModelStatic<M>, { where, ...options }: FindOptions<Attributes<M>> = {}): Promise<M[]> {
    return this.findAll({ ...options, where: { ...(where as object), tenantId: tenant().id } as unknown as WhereOptions<Attributes<M>> });
  }

  /** Inserts a row of the tenant. */
  static make<M extends TenantModel>(this: ModelStatic<M>, values: Omit<CreationAttributes<M>, 'tenantId'>): Promise<M> {
    return this.create({ ...values, tenantId: tenant().id } as unknown as CreationAttributes<M>);
  }
}
