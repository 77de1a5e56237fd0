/** Writing the service catalogue. Prices here never touch lines and invoices that exist: those are copies. */
import { randomBytes } from 'node:crypto';
import { clock } from '../lib/clock';
import { context, tenant } from '../lib/context';
import { inTransaction, query } from '../lib/db';
import { BadRequest, Conflict, Forbidden, ValidationFailed } from '../lib/errors';
import { pendingChanges, side } from '../models/row-changes';
import { ServiceOperation } from '../models/service-operations.model';
import { OPERATION_BY_ID, SAME_OPERATION } from '../models/service-operations.queries';
import {
  type CreateServiceOperation,
  operationIdOf,
  type ServiceOperationReply,
  type UpdateServiceOperation,
} from '../schemas/service-operations.schema';
import { recordAudit } from './audit.service';
import { assertInNoPackage, assertUsable, childrenOf, type PackageChild, setChildren } from './service-packages.service';
import { tenantSettings } from './tenant-settings.service';

const ENTITY = 'service_operation';
const MISSING = 'Service not found';

/** Owners always; advisors where the shop lets them. @throws Forbidden */
async function assertMayWrite(): Promise<void> {
  if (context().actor.role === 'Owner' || (await tenantSettings()).advisorCanEditCatalog) return;
  throw new Forbidden('Insufficient permissions. Required role: Owner');
}

/** The columns of what was sent; what was not sent is absent. */
function columnsOf(given: UpdateServiceOperation): Partial<ServiceOperation> {
  const price = given.default_price === undefined ? given.base_labor_rate : given.default_price;
  const columns = {
    name: given.name,
    category: given.category,
    internalCode: given.internal_code,
    subcategory: given.subcategory,
    skillLevel: given.skill_level,
    defaultHours: given.default_hours,
    defaultPriceCents: price,
    keywords: given.keywords,
    flags: given.flags,
    displayOrder: given.display_order,
    isActive: given.is_active,
  };
  return Object.fromEntries(Object.entries(columns).filter(([, value]) => value !== undefined)) as Partial<ServiceOperation>;
}

/**
 * Adds an operation, or with `package_items` a package. Id and internal code are made of the name where they are not given.
 * @throws Forbidden, Conflict `duplicate_id` (deleted ones count), ValidationFailed for children that cannot be held
 */
export async function createServiceOperation(given: CreateServiceOperation): Promise<ServiceOperationReply> {
  await assertMayWrite();
  const { package_items: children = [], is_package: isPackage = children.length > 0 } = given;
  if (children.length > 0 && !isPackage) throw new ValidationFailed({ package_items: 'only_for_packages' });
  const id = given.id ?? (operationIdOf(given.name) || `service_${randomBytes(4).toString('hex')}`);
  const internalCode = given.internal_code ?? id;
  return inTransaction(async () => {
    await assertNew(id, internalCode);
    const now = clock.now();
    const operation = ServiceOperation.build({
      ...columnsOf(given),
      tenantId: tenant().id,
      id,
      internalCode,
      isPackage,
      createdAt: now,
      updatedAt: now,
    });
    operation.index();
    await operation.save();
    if (isPackage) await setChildren(id, children);
    const item = await read(id);
    await recordAudit({ action: 'CATALOG_CREATE', entity: ENTITY, entityId: id, after: item });
    return item;
  });
}

/** Races are left to the constraints; here the refusal can say that the other one is deleted. */
async function assertNew(id: string, internalCode: string): Promise<void> {
  const [other] = await query<{ id: string; isActive: boolean }>(SAME_OPERATION, [tenant().id, id, internalCode]);
  if (!other) return;
  const message = other.isActive
    ? 'A service with this id or internal code already exists'
    : 'A deleted service has this id or internal code; restore it, or choose another';
  throw new Conflict(message, {
    code: 'duplicate_id',
    details: { [other.id === id ? 'id' : 'internal_code']: 'already_exists', is_active: other.isActive },
  });
}

/**
 * Changes what was sent. `is_active` deletes and restores.
 * @throws Forbidden, BadRequest `no_updates`, NotFound, Conflict for a taken internal code or a child in use, ValidationFailed for children
 */
export async function updateServiceOperation(id: string, given: UpdateServiceOperation): Promise<ServiceOperationReply> {
  await assertMayWrite();
  const columns = columnsOf(given);
  if (Object.keys(columns).length === 0 && given.package_items === undefined)
    throw new BadRequest('No valid fields to update', { code: 'no_updates' });
  return inTransaction(async () => {
    const operation = await ServiceOperation.get<ServiceOperation>(id, { lock: true, missing: MISSING });
    const children = await childrenChange(operation, given.package_items);
    operation.set(columns);
    const changes = pendingChanges(operation);
    if (Object.keys(changes).length === 0 && !children) return read(id);
    if (operation.changed('isActive')) await assertMayToggle(operation, children?.to);
    operation.index();
    // A package whose children alone have changed is another package all the same.
    operation.set({ updatedAt: clock.now() });
    await operation.save();
    if (children) await setChildren(id, children.to);
    await recordAudit({
      action: 'CATALOG_UPDATE',
      entity: ENTITY,
      entityId: id,
      before: { ...side(changes, 'from'), ...(children ? { package_items: children.from } : {}) },
      after: { ...side(changes, 'to'), ...(children ? { package_items: children.to } : {}) },
    });
    return read(id);
  });
}

/** @returns undefined when the children stay as they are */
async function childrenChange(
  { id, isPackage }: ServiceOperation,
  to: PackageChild[] | undefined,
): Promise<{ from: PackageChild[]; to: PackageChild[] } | undefined> {
  if (to === undefined) return undefined;
  if (!isPackage) {
    if (to.length > 0) throw new ValidationFailed({ package_items: 'only_for_packages' });
    return undefined;
  }
  const from = await childrenOf(id);
  const isSame =
    from.length === to.length && from.every(({ child_id, quantity }, i) => child_id === to[i]?.child_id && quantity === to[i]?.quantity);
  return isSame ? undefined : { from, to };
}

/** Deleting a child and restoring a package must not leave an active package with a deleted child. */
async function assertMayToggle({ id, isActive, isPackage }: ServiceOperation, children: PackageChild[] | undefined): Promise<void> {
  if (!isActive) await assertInNoPackage(id);
  else if (isPackage && !children) await assertUsable(await childrenOf(id));
}

/** Hides an operation; lines keep their link to it. @throws Forbidden, NotFound, BadRequest `already_deleted`, Conflict for a child in use */
export async function deleteServiceOperation(id: string): Promise<{ message: string; id: string }> {
  await assertMayWrite();
  return inTransaction(async () => {
    const operation = await ServiceOperation.get<ServiceOperation>(id, { lock: true, missing: MISSING });
    if (!operation.isActive) throw new BadRequest('Service is already deleted', { code: 'already_deleted' });
    await assertInNoPackage(id);
    operation.set({ isActive: false, updatedAt: clock.now() });
    await operation.save();
    await recordAudit({ action: 'CATALOG_DELETE', entity: ENTITY, entityId: id, before: { is_active: true }, after: { is_active: false } });
    return { message: 'Service deleted', id };
  });
}

async function read(id: string): Promise<ServiceOperationReply> {
  const [row] = await query<{ item: ServiceOperationReply }>(OPERATION_BY_ID, [tenant().id, id]);
  if (!row) throw new Error(`Service ${id} vanished in its own transaction`);
  return row.item;
}
