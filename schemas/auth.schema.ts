/** Log-in, sessions, registration, password reset, memberships. */
import { z } from 'zod';
import { Instant, Role } from './common.schema';

const EMAIL_MAX = 254;
const USERNAME_MAX = 150;
const PASSWORD_MAX = 128;
const NAME_MAX = 120;
const PHONE_MAX = 20;

/** Only for checking a log-in: the rules of a good password are no business of somebody who has one already. */
const GivenPassword = z.string().min(1).max(PASSWORD_MAX);
const Email = z.string().trim().toLowerCase().max(EMAIL_MAX).pipe(z.email());

export const AdminLogin = z
  .object({ username: z.string().trim().min(1).max(EMAIL_MAX), password: GivenPassword })
  .meta({ id: 'AdminLogin' });
export const AdminLoginReply = z
  .object({ token: z.string(), user: z.object({ username: z.string(), role: Role }) })
  .meta({ id: 'AdminLoginReply' });

export const Login = z
  .object({
    email: z.string().trim().max(EMAIL_MAX).optional(),
    username: z.string().trim().max(USERNAME_MAX).optional(),
    password: GivenPassword,
  })
  .refine(({ email, username }) => Boolean(email ?? username), { path: ['email'], message: 'required' })
  .meta({ id: 'Login' });

export const User = z
  .object({ id: z.string(), email: z.string().nullable(), name: z.string(), role: Role, tenant_id: z.guid() })
  .meta({ id: 'User' });
export const LoginReply = z.object({ token: z.string(), expires_at: Instant, user: User }).meta({ id: 'LoginReply' });

export const CustomerLogin = z
  .object({ email: z.string().trim().toLowerCase().min(1).max(EMAIL_MAX), password: GivenPassword })
  .meta({ id: 'CustomerLogin' });
const SignedInCustomer = z.object({ id: z.int(), email: z.string(), name: z.string() });
export const CustomerLoginReply = z
  .object({ token: z.string(), customer: SignedInCustomer, customer_id: z.int(), name: z.string() })
  .meta({ id: 'CustomerLoginReply' });

const Phone = z.string().trim().max(PHONE_MAX, 'at most 20 characters').optional();
const registration = {
  email: Email,
  /** Its rules are checked one by one by the service, so that the first broken one is named. */
  password: z.string().default(''),
  phone: Phone,
};
export const RegisterCustomer = z
  .object({ ...registration, name: z.string().trim().max(NAME_MAX, 'at most 120 characters').optional() })
  .meta({ id: 'RegisterCustomer' });
export const Register = z
  .object({ ...registration, name: z.string('required').trim().min(1, 'required').max(NAME_MAX, 'at most 120 characters') })
  .meta({ id: 'Register' });
export const RegisterCustomerReply = z.object({ token: z.string(), customer: SignedInCustomer }).meta({ id: 'RegisterCustomerReply' });
export const RegisterReply = z.object({ token: z.string(), customer: SignedInCustomer, message: z.string() }).meta({ id: 'RegisterReply' });

export const Refresh = z.object({ refresh_token: z.string().max(200).optional() }).meta({ id: 'Refresh' });
export const RefreshReply = z.object({ token: z.string(), expires_at: Instant }).meta({ id: 'RefreshReply' });

export const VerifyReply = z.object({ valid: z.literal(true), user: User, expires_at: Instant }).meta({ id: 'VerifyReply' });
export const CsrfReply = z.object({ csrfToken: z.string().regex(/^[0-9a-f]{32}$/) }).meta({ id: 'CsrfReply' });

/** Anything at all is taken, because every request gets the same answer. */
export const RequestPasswordReset = z
  .object({ email: z.string().max(EMAIL_MAX).catch(''), tenant_id: z.string().catch('').optional() })
  .meta({ id: 'RequestPasswordReset' });

/** What is missing counts as wrong; the service answers a broken password rule first. */
export const ResetPassword = z
  .object({
    email: z.string().catch(''),
    token: z.string().max(200).catch(''),
    new_password: z.string().catch(''),
    tenant_id: z.string().catch('').optional(),
  })
  .meta({ id: 'ResetPassword' });

export const StaffRole = z.enum(['Owner', 'Advisor', 'Accountant', 'Technician']);
export type StaffRole = z.infer<typeof StaffRole>;
export const SetMembership = z
  .object({ staff_id: z.string().trim().min(1), tenant_id: z.string().trim().min(1), role: StaffRole.default('Advisor') })
  .meta({ id: 'SetMembership' });
export const MembershipReply = z.object({ staff_id: z.string(), tenant_id: z.guid(), role: StaffRole }).meta({ id: 'MembershipReply' });
