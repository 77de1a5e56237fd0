/** Reminders a day before an appointment. */
import { ClaimReminders, SendReminder } from '../schemas/jobs.schema';
import { sendReminder, unsafeClaimReminders } from '../services/reminders.service';
import { type Job, job } from './job';

export const remindersJobs: readonly Job[] = [
  job({
    name: 'reminders.claim',
    schedule: '0 * * * *',
    payload: ClaimReminders,
    run: async () => {
      await unsafeClaimReminders();
    },
  }),
  job({
    name: 'reminder.send',
    outgoing: true,
    payload: SendReminder,
    run: ({ appointmentId, startsAt }) => sendReminder(appointmentId, new Date(startsAt)),
  }),
];
