/** The shop's settings, for its owner. */
import { clock } from '../lib/clock';
import { context, tenant } from '../lib/context';
import { afterCommit, inTransaction, query } from '../lib/db';
import { BadRequest } from '../lib/errors';
import { announceRevocation } from '../lib/revocation';
import {
  ENSURE_SETTINGS,
  LOCK_SETTINGS,
  READ_SETTINGS,
  type SettingsRow,
  type SettingsValues,
  UPDATE_TIME_ZONE,
  updateSettingsSql,
} from '../models/settings.queries';
import type { UpdateSettings } from '../schemas/settings.schema';
import { recordAudit } from './audit.service';

/** The settings; a shop that never had a row gets one with the defaults. */
export async function readSettings(): Promise<SettingsRow> {
  const [row] = await query<SettingsRow>(READ_SETTINGS, [tenant().id]);
  return row ?? inTransaction(() => lockSettings());
}

async function lockSettings(): Promise<SettingsRow> {
  const { id } = tenant();
  await query(ENSURE_SETTINGS, [id]);
  const [row] = await query<SettingsRow>(LOCK_SETTINGS, [id]);
  if (!row) throw new Error('The tenant has no settings');
  return row;
}

/**
 * Changes what is given. A new zone moves the borders of days for all that is read from now on; stored instants stay.
 * @throws BadRequest when nothing known is given
 */
export async function updateSettings(update: UpdateSettings): Promise<SettingsRow> {
  const given = Object.entries(update).filter(([, value]) => value !== undefined);
  if (given.length === 0) throw new BadRequest('No valid fields to update');
  return inTransaction(async () => {
    const { id } = tenant();
    const now = clock.now();
    const current = await lockSettings();
    const after = Object.fromEntries(given.filter(([name, value]) => current[name as keyof SettingsValues] !== value));
    const names = Object.keys(after) as (keyof SettingsValues)[];
    if (names.length === 0) return current;
    await query(...updateSettingsSql(id, after, context().actor.id, now));
    if (after['timezone'] !== undefined) {
      await query(UPDATE_TIME_ZONE, [id, after['timezone'], now]);
      await afterCommit(() => announceRevocation({ tenants: [id] }));
    }
    const before = Object.fromEntries(names.map((name) => [name, current[name]]));
    await recordAudit({ action: 'SETTINGS_UPDATE', entity: 'tenant_settings', entityId: id, before, after });
    return lockSettings();
  });
}
