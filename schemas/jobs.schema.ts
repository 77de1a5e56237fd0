/** Payloads of background jobs. Ids only; tenant and request id come from the context that enqueued the job. */
import { z } from 'zod';

const origin = { tenantId: z.guid().nullable().default(null), requestId: z.string().nullable().default(null) };

/** What the runner needs to restore the context; every payload has it, a scheduled job's is empty. */
export const JobOrigin = z.object(origin);

export const MailPasswordReset = z.object({ ...origin, kind: z.enum(['staff', 'customer']), userId: z.string().min(1) });
export const MailInvoice = z.object({
  ...origin,
  mailId: z.guid(),
  invoiceId: z.guid(),
  type: z.enum(['receipt', 'estimate']),
  to: z.string().nullable().default(null),
});
export const SendMessageJob = z.object({ ...origin, messageId: z.guid() });
export const ClaimReminders = z.object(origin);
export const SendReminder = z.object({ ...origin, appointmentId: z.int().positive(), startsAt: z.iso.datetime() });
export const PruneSessions = z.object(origin);
export const ProfileStatements = z.object(origin);
export const ApplyRetention = z.object(origin);
