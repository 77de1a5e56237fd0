/** The shop's settings as their page reads them. */
import type { SettingsRow } from '../models/settings.queries';
import type { Settings } from '../schemas/settings.schema';

export const presentSettings = ({ updated_at, ...row }: SettingsRow): Settings => ({ ...row, updated_at: updated_at.toISOString() });
