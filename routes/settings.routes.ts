/** The shop's settings: the owner's alone. */
import { presentSettings } from '../presenters/settings.presenter';
import { Settings, UpdateSettings } from '../schemas/settings.schema';
import { readSettings, updateSettings } from '../services/settings.service';
import { type Endpoint, endpoint } from './endpoint';

const owner = {
  path: '/api/admin/settings',
  tag: 'Settings',
  allow: ['Owner'],
  forbidden: { message: 'Insufficient permissions. Required role: Owner' },
} as const;

export const settingsEndpoints: readonly Endpoint[] = [
  endpoint({
    ...owner,
    method: 'get',
    id: 'readSettings',
    summary: 'The settings of the shop',
    reply: [200, Settings],
    queries: 1,
    handle: async () => presentSettings(await readSettings()),
  }),
  endpoint({
    ...owner,
    method: 'patch',
    id: 'updateSettings',
    summary: 'Change settings of the shop; what is left out stays',
    body: UpdateSettings,
    reply: [200, Settings],
    handle: async ({ body }) => presentSettings(await updateSettings(body)),
  }),
];
