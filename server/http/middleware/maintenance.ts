/**
 * Maintenance: the service is closed on purpose, to all but owners, who may want to look before they open it again. Log-in and
 * what a session needs stay open for them; probes and operations never come here. The primary decides, and every worker knows.
 */

import type { Maintenance } from '../../../lib/cluster-ports';
import type { Actor } from '../../../lib/context';
import { UnderMaintenance } from '../../../lib/errors';
import type { Endpoint } from '../../../routes/endpoint';
import type { Authentication } from './authentication';

let source: () => Maintenance | null = () => null;

/** The process composition says where it is known whether the service is closed. */
export function setMaintenanceSource(next: () => Maintenance | null): void {
  source = next;
}

/** What closes this endpoint now; null when it is open. */
export const closedBy = ({ duringMaintenance }: Pick<Endpoint, 'duringMaintenance'>): Maintenance | null =>
  duringMaintenance ? null : source();

/**
 * Authenticates at a closed door: whoever cannot be an owner is turned away before anything is read for him, and when nobody
 * can be told (the database is what is being maintained), everybody is. @throws UnderMaintenance
 */
export async function authenticateOwner(closed: Maintenance, authenticate: () => Promise<Authentication>): Promise<Authentication> {
  let authentication: Authentication;
  try {
    authentication = await authenticate();
  } catch (error) {
    throw new UnderMaintenance(closed.reason, { cause: error });
  }
  if (authentication.actor.kind !== 'staff') throw new UnderMaintenance(closed.reason);
  return authentication;
}

/** @throws UnderMaintenance for everybody but an owner of this tenant */
export function requireOwner(closed: Maintenance, { role }: Actor): void {
  if (role !== 'Owner') throw new UnderMaintenance(closed.reason);
}
