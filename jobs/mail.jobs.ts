/** Mail that leaves because of something a user did. */
import { MailInvoice, MailPasswordReset } from '../schemas/jobs.schema';
import { mailInvoice } from '../services/invoice-documents.service';
import { mailPasswordReset } from '../services/password-resets.service';
import { type Job, job } from './job';

export const mailJobs: readonly Job[] = [
  job({
    name: 'mail.password-reset',
    outgoing: true,
    payload: MailPasswordReset,
    // A second run mails a second link, and only that one works.
    run: ({ kind, userId }) => mailPasswordReset(kind, userId),
  }),
  job({
    name: 'mail.invoice',
    outgoing: true,
    payload: MailInvoice,
    // A second run mails the document again, under the same Message-ID: better twice than never.
    run: mailInvoice,
  }),
];
