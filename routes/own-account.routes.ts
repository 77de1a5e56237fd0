/** What a signed-in person sees and changes about themselves. */

import { CustomerHistory } from '../schemas/customer-profiles.schema';
import { OwnProfile, SmsConsent, SmsConsentReply, UpdateOwnProfile } from '../schemas/own-account.schema';
import { CreateOwnVehicle, VehicleItems, VehicleReply } from '../schemas/vehicles.schema';
import {
  createOwnVehicle,
  decideSmsConsent,
  getOwnHistory,
  getOwnProfile,
  listOwnVehicles,
  updateOwnProfile,
} from '../services/own-account.service';
import { type Endpoint, endpoint, JsonText, Reply } from './endpoint';
import { vehicleRefusal } from './vehicles.routes';

const tag = 'My account';
const CUSTOMER = ['Customer'] as const;

export const ownAccountEndpoints: readonly Endpoint[] = [
  endpoint({
    method: 'get',
    path: '/api/customers/profile',
    id: 'getOwnProfile',
    summary: 'Who is signed in, staff or customer',
    tag,
    allow: 'session',
    reply: [200, OwnProfile],
    mirror: 'all',
    queries: 1,
    handle: getOwnProfile,
  }),
  endpoint({
    method: 'put',
    path: '/api/customers/profile',
    id: 'updateOwnProfile',
    summary: 'Change the own profile and vehicles; what is left out stays',
    tag,
    allow: CUSTOMER,
    body: UpdateOwnProfile,
    reply: [200, OwnProfile],
    errors: [404, 409],
    handle: ({ body }) => updateOwnProfile(body),
  }),
  endpoint({
    method: 'get',
    path: '/api/customers/vehicles',
    id: 'listOwnVehicles',
    summary: 'The own active vehicles, primary first',
    tag,
    allow: CUSTOMER,
    reply: [200, VehicleItems],
    queries: 1,
    handle: async () => {
      const items = await listOwnVehicles();
      return { items, total: items.length };
    },
  }),
  endpoint({
    method: 'post',
    path: '/api/customers/vehicles',
    id: 'createOwnVehicle',
    summary: 'Add an own vehicle',
    tag,
    allow: CUSTOMER,
    body: CreateOwnVehicle,
    reply: [201, VehicleReply],
    errors: [409],
    invalid: vehicleRefusal,
    idempotent: true,
    handle: async ({ body }) => {
      const { vehicle, etag } = await createOwnVehicle(body);
      return new Reply(vehicle, { headers: { Location: `/api/vehicles/${vehicle.id}` }, etag });
    },
  }),
  endpoint({
    method: 'get',
    path: '/api/customers/history',
    id: 'getOwnHistory',
    summary: 'The own closed appointments and payments',
    tag,
    allow: CUSTOMER,
    reply: [200, CustomerHistory],
    queries: 1,
    handle: async () => new JsonText(await getOwnHistory()),
  }),
  endpoint({
    method: 'put',
    path: '/api/customers/sms-consent',
    id: 'decideSmsConsent',
    summary: 'Allow or refuse text messages',
    tag,
    allow: CUSTOMER,
    body: SmsConsent,
    reply: [200, SmsConsentReply],
    handle: async ({ body }) => {
      const { smsConsent, smsConsentDate } = await decideSmsConsent(body);
      return { sms_consent: smsConsent, sms_consent_date: smsConsentDate?.toISOString() ?? null };
    },
  }),
];
