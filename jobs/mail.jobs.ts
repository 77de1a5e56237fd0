/** Mail that leaves because of something a user did. */
import { MailPasswordReset } from '../schemas/jobs.schema';
import { mailPasswordReset } from '../services/password-resets.service';
import { type Job, job } from './job';

export const mailJobs: readonly Job[] = [
  job({
    name: 'mail.password-reset',
    payload: MailPasswordReset,
    // A second run mails a second link, and only that one works.
    run: ({ kind, userId }) => mailPasswordReset(kind, userId),
  }),
];
