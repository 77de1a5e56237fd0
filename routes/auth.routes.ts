/** Log-in and log-out, sessions, registration, password reset, staff memberships. */
import type { z } from 'zod';
import { BadRequest, ValidationFailed } from '../lib/errors';
import { accessCookie, CSRF_COOKIE, clearedCookies, csrfCookie, REFRESH_COOKIE, refreshCookie } from '../lib/session-cookies';
import { isCsrfToken, newCsrfToken } from '../lib/tokens';
import {
  AdminLogin,
  AdminLoginReply,
  CsrfReply,
  CustomerLogin,
  CustomerLoginReply,
  Login,
  LoginReply,
  MembershipReply,
  Refresh,
  RefreshReply,
  Register,
  RegisterCustomer,
  RegisterCustomerReply,
  RegisterReply,
  RequestPasswordReset,
  ResetPassword,
  SetMembership,
  VerifyReply,
} from '../schemas/auth.schema';
import { currentIdentity, refresh, type SignedIn, signIn, signInCustomer, signInStaff, signOut } from '../services/auth.service';
import { registerCustomer } from '../services/customer-accounts.service';
import { requestPasswordReset, resetPassword } from '../services/password-resets.service';
import type { Credentials } from '../services/sessions.service';
import { setMembership } from '../services/staff.service';
import { type Cookie, type Endpoint, endpoint, Reply, type RequestFacts } from './endpoint';

const MS_PER_S = 1000;
const instant = (unixSeconds: number): string => new Date(unixSeconds * MS_PER_S).toISOString();
const namedTenant = (request: RequestFacts): string | undefined => request.header('x-tenant-id');

const credentialCookies = ({ access, refreshToken }: Credentials): Cookie[] => [accessCookie(access.token), refreshCookie(refreshToken)];
const loginCookies = (credentials: Credentials): Cookie[] => [...credentialCookies(credentials), csrfCookie(newCsrfToken())];

const refuseWith =
  (message: string, code = 'invalid_request') =>
  () =>
    new BadRequest(message, { code });

/** One sentence for the person, one reason for each field. */
function refuseRegistration(error: z.ZodError): BadRequest {
  const details = Object.fromEntries(error.issues.map(({ path, message }) => [path.join('.') || 'body', message]));
  const message =
    'email' in details
      ? 'A valid email is required'
      : 'name' in details
        ? details['name'] === 'required'
          ? 'Name is required'
          : 'Name is too long'
        : 'password' in details
          ? 'Password is required'
          : 'Registration data is invalid';
  return new BadRequest(message, { code: 'invalid_request', details });
}

const customerOf = ({ user: { id, email, name } }: SignedIn) => ({ id: Number(id), email: email ?? '', name });

const open = { tag: 'Authentication', allow: 'public', tenant: 'optional', csrf: 'exempt' } as const;

export const authEndpoints: readonly Endpoint[] = [
  endpoint({
    ...open,
    method: 'post',
    path: '/api/admin/login',
    id: 'loginStaff',
    importance: 'vital',
    duringMaintenance: true,
    summary: 'Log in as staff',
    body: AdminLogin,
    reply: [200, AdminLoginReply],
    errors: [401, 403, 429],
    limit: 'login',
    invalid: refuseWith('Username and password required', 'invalid_credentials'),
    handle: async ({ body: { username, password }, request }) => {
      const { credentials, user } = await signInStaff({ identifier: username, password, named: namedTenant(request) });
      const data = { token: credentials.access.token, user: { username: user.username, role: user.role } };
      return new Reply(data, { cookies: loginCookies(credentials) });
    },
  }),
  endpoint({
    ...open,
    method: 'post',
    path: '/api/auth/login',
    id: 'login',
    importance: 'vital',
    duringMaintenance: true,
    summary: 'Log in as staff or customer',
    body: Login,
    reply: [200, LoginReply],
    errors: [401, 403, 429],
    mirror: 'all',
    limit: 'login',
    invalid: refuseWith('Email or username, and password required'),
    handle: async ({ body: { email, username, password }, request }) => {
      const { credentials, user } = await signIn({ identifier: email ?? username ?? '', password, named: namedTenant(request) });
      const data = {
        token: credentials.access.token,
        expires_at: instant(credentials.access.expiresAt),
        user: { id: user.id, email: user.email ?? user.username, name: user.name, role: user.role, tenant_id: user.tenantId },
      };
      return new Reply(data, { cookies: loginCookies(credentials) });
    },
  }),
  endpoint({
    ...open,
    method: 'post',
    path: '/api/customers/login',
    id: 'loginCustomer',
    importance: 'vital',
    summary: 'Log in as a customer',
    body: CustomerLogin,
    reply: [200, CustomerLoginReply],
    errors: [401, 403, 429],
    limit: 'login',
    invalid: refuseWith('Email and password required'),
    handle: async ({ body: { email, password }, request }) => {
      const signedIn = await signInCustomer({ identifier: email, password, named: namedTenant(request) });
      const customer = customerOf(signedIn);
      const data = { token: signedIn.credentials.access.token, customer, customer_id: customer.id, name: customer.name };
      return new Reply(data, { cookies: loginCookies(signedIn.credentials) });
    },
  }),
  endpoint({
    ...open,
    method: 'post',
    path: '/api/customers/register',
    id: 'registerCustomer',
    summary: 'Register as a customer, from the booking site',
    body: RegisterCustomer,
    reply: [200, RegisterCustomerReply],
    errors: [409, 429],
    limit: 'register',
    invalid: refuseRegistration,
    handle: async ({ body: { email, password, name, phone }, request }) => {
      const signedIn = await registerCustomer({ email, password, name, phone, named: namedTenant(request) });
      const data = { token: signedIn.credentials.access.token, customer: customerOf(signedIn) };
      return new Reply(data, { cookies: loginCookies(signedIn.credentials) });
    },
  }),
  endpoint({
    ...open,
    method: 'post',
    path: '/api/auth/register',
    id: 'register',
    summary: 'Register as a customer',
    body: Register,
    reply: [201, RegisterReply],
    errors: [409, 429],
    limit: 'register',
    invalid: refuseRegistration,
    handle: async ({ body: { email, password, name, phone }, request }) => {
      const signedIn = await registerCustomer({ email, password, name, phone, named: namedTenant(request) });
      const data = { token: signedIn.credentials.access.token, customer: customerOf(signedIn), message: 'Registration successful' };
      return new Reply(data, { cookies: loginCookies(signedIn.credentials), headers: { Location: '/api/customers/profile' } });
    },
  }),
  endpoint({
    ...open,
    method: 'post',
    path: '/api/auth/logout',
    aliases: ['/api/logout'],
    id: 'logout',
    importance: 'vital',
    duringMaintenance: true,
    summary: 'End the session; succeeds without one',
    reply: [204],
    handle: async ({ request }) => {
      await signOut(request.cookies[REFRESH_COOKIE]);
      return new Reply(null, { cookies: clearedCookies() });
    },
  }),
  endpoint({
    ...open,
    method: 'post',
    path: '/api/auth/refresh',
    id: 'refreshSession',
    importance: 'vital',
    duringMaintenance: true,
    summary: 'Exchange a refresh token for new credentials',
    body: Refresh,
    reply: [200, RefreshReply],
    errors: [401],
    invalid: refuseWith('refresh_token must be a string'),
    handle: async ({ body, request }) => {
      const credentials = await refresh(body.refresh_token ?? request.cookies[REFRESH_COOKIE]);
      const data = { token: credentials.access.token, expires_at: instant(credentials.access.expiresAt) };
      return new Reply(data, { cookies: credentialCookies(credentials) });
    },
  }),
  endpoint({
    method: 'get',
    path: '/api/auth/verify-token',
    aliases: ['/api/me'],
    id: 'verifyToken',
    importance: 'vital',
    duringMaintenance: true,
    summary: 'Who the session belongs to, and until when the token works',
    tag: 'Authentication',
    allow: 'session',
    reply: [200, VerifyReply],
    queries: 0,
    handle: async ({ request }) => {
      const { id, email, name, role, tenantId } = await currentIdentity();
      return { valid: true, user: { id, email, name, role, tenant_id: tenantId }, expires_at: instant(request.accessExpiresAt ?? 0) };
    },
  }),
  endpoint({
    method: 'get',
    path: '/api/csrf-token',
    id: 'getCsrfToken',
    importance: 'vital',
    duringMaintenance: true,
    summary: 'The token to repeat in X-CSRF-Token',
    tag: 'Authentication',
    allow: 'public',
    tenant: 'optional',
    reply: [200, CsrfReply],
    queries: 0,
    handle: async ({ request }) => {
      const known = request.cookies[CSRF_COOKIE];
      // A valid one is kept, so that parallel tabs do not invalidate each other's.
      const csrfToken = isCsrfToken(known) ? known : newCsrfToken();
      return new Reply({ csrfToken }, { cookies: [csrfCookie(csrfToken)] });
    },
  }),
  endpoint({
    ...open,
    method: 'post',
    path: '/api/auth/request-password-reset',
    id: 'requestPasswordReset',
    summary: 'Mail a link that sets a new password, if there is such an account',
    body: RequestPasswordReset,
    reply: [204],
    handle: async ({ body, request }) => {
      await requestPasswordReset({ email: body.email, tenantKey: body.tenant_id || namedTenant(request) });
    },
  }),
  endpoint({
    ...open,
    method: 'post',
    path: '/api/auth/reset-password',
    id: 'resetPassword',
    summary: 'Set a new password with a mailed token',
    body: ResetPassword,
    reply: [204],
    errors: [429],
    handle: async ({ body: { email, token, new_password: newPassword, tenant_id }, request }) => {
      await resetPassword({ email, token, newPassword, tenantKey: tenant_id || namedTenant(request) });
    },
  }),
  endpoint({
    method: 'post',
    path: '/api/admin/staff/memberships',
    id: 'setStaffMembership',
    summary: 'Give a staff member a role in the tenant',
    tag: 'Staff',
    allow: ['Owner'],
    body: SetMembership,
    reply: [200, MembershipReply],
    errors: [404, 409],
    invalid: (error) =>
      error.issues.some(({ path }) => path[0] !== 'role')
        ? new BadRequest('staff_id and tenant_id required', { code: 'invalid_request' })
        : new ValidationFailed({ role: 'invalid' }, 'role must be Owner, Advisor, Accountant or Technician', { code: 'invalid_request' }),
    handle: async ({ body: { staff_id: staffId, tenant_id: tenantKey, role } }) => {
      const membership = await setMembership({ staffId, tenantKey, role });
      return { staff_id: membership.staffId, tenant_id: membership.tenantId, role: membership.role };
    },
  }),
];
