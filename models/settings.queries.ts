/** The shop's settings as their owner sees and changes them: the row of `tenant_settings` and the zone of its tenant. */
import type { Sql } from '../lib/db';
import type { Settings, UpdateSettings } from '../schemas/settings.schema';

/** What can be changed. */
export type SettingsValues = Omit<Settings, 'sms_number' | 'updated_by' | 'updated_at'>;

export interface SettingsRow extends SettingsValues {
  sms_number: string | null;
  updated_by: string | null;
  updated_at: Date;
}

/** A shop made before there were settings has no row until it needs one. Values: tenant. */
export const ENSURE_SETTINGS: Sql = {
  name: 'settings_ensure',
  text: 'INSERT INTO tenant_settings (tenant_id) VALUES ($1) ON CONFLICT (tenant_id) DO NOTHING',
};

const COLUMNS = `t.timezone, s.tax_basis_points, s.default_block_minutes, s.advisor_can_edit_catalog, s.advisor_can_void, s.public_booking,
      s.public_catalog, to_char(s.quiet_from, 'HH24:MI') AS quiet_from, to_char(s.quiet_to, 'HH24:MI') AS quiet_to, t.sms_number,
      s.updated_by, s.updated_at`;
const FROM = 'FROM tenants t JOIN tenant_settings s ON s.tenant_id = t.id WHERE t.id = $1 AND s.tenant_id = $1';

/** One row or none. Values: tenant. */
export const READ_SETTINGS: Sql = { name: 'settings_read', text: `SELECT ${COLUMNS} ${FROM}` };
/** The same under lock. Values: tenant. */
export const LOCK_SETTINGS: Sql = { name: 'settings_lock', text: `SELECT ${COLUMNS} ${FROM} FOR UPDATE OF s` };

/** Names of {@link UpdateSettings} that are columns of `tenant_settings`; they come from here, never from the request. */
const SETTING_COLUMNS = [
  'tax_basis_points',
  'default_block_minutes',
  'advisor_can_edit_catalog',
  'advisor_can_void',
  'public_booking',
  'public_catalog',
  'quiet_from',
  'quiet_to',
] as const satisfies readonly (keyof UpdateSettings)[];

/** Writes the settings among `changes`, and always who changed when. */
export function updateSettingsSql(tenantId: string, changes: Partial<SettingsValues>, by: string, now: Date): [Sql, unknown[]] {
  const values: unknown[] = [tenantId, by, now];
  const sets = SETTING_COLUMNS.filter((column) => changes[column] !== undefined).map(
    (column) => `, ${column} = $${values.push(changes[column])}`,
  );
  return [
    { text: `UPDATE tenant_settings SET updated_by = $2, updated_at = $3::timestamptz${sets.join('')} WHERE tenant_id = $1` },
    values,
  ];
}

/** Values: tenant, zone, now. */
export const UPDATE_TIME_ZONE: Sql = {
  name: 'settings_time_zone',
  text: 'UPDATE tenants SET timezone = $2, updated_at = $3::timestamptz WHERE id = $1',
};

/** Values: tenant. */
export const LOCK_SMS_NUMBER: Sql = { name: 'sms_number_lock', text: 'SELECT sms_number AS number FROM tenants WHERE id = $1 FOR UPDATE' };
/** Values: tenant, number or null, now. */
export const UPDATE_SMS_NUMBER: Sql = {
  name: 'sms_number_update',
  text: 'UPDATE tenants SET sms_number = $2, updated_at = $3::timestamptz WHERE id = $1',
};
