/**
 * Reminders a day before an appointment, by text. An hourly job claims what is due; the claim is a row under a unique constraint,
 * so each appointment is claimed once however many instances run. All arithmetic is on instants: a change of the clocks moves
 * only the wall-clock time in the text, and the shop's quiet hours.
 */
import { DateTime } from 'luxon';
import { clock } from '../lib/clock';
import { tenant } from '../lib/context';
import { inTransaction, query } from '../lib/db';
import { log } from '../lib/log';
import { toE164 } from '../lib/phone';
import { enqueue } from '../lib/queue';
import { afterQuiet, type QuietHours } from '../lib/quiet-hours';
import { renderTemplate } from '../lib/templates';
import { FIRST_TEMPLATES } from '../models/first-templates';
import type { TemplateRow } from '../models/message-templates.queries';
import {
  CLAIM_REMINDERS,
  COUNT_OLD_NOTIFICATIONS,
  DROP_REMINDER,
  LOCK_REMINDER,
  PRUNE_NOTIFICATIONS,
  QUIET_HOURS,
  REMINDER_FACTS,
  type ReminderFacts,
  SET_REMINDER_MESSAGE,
} from '../models/messages.queries';
import { findTemplate } from './message-templates.service';
import { addOutgoing } from './messages.service';
import { inScope } from './sessions.service';
import { unsafeListOpenTenants } from './tenants.service';

const HOUR_MS = 3_600_000;
const AHEAD_HOURS = 24;
/** Hours that a job process may have been away without a reminder being lost. */
const CATCH_UP_HOURS = 2;
const KEPT_DAYS = 30;
const TEMPLATE = 'appt_reminder_basic_sms';
const USUAL_QUIET: QuietHours = { from: '21:00', to: '08:00' };

/** The hourly job: claims the reminders of all open shops. @returns how many */
export async function unsafeClaimReminders(): Promise<number> {
  let claimed = 0;
  for (const shop of await unsafeListOpenTenants()) claimed += await inScope(shop, claimReminders);
  log.info('reminders claimed', { claimed });
  return claimed;
}

/** Claims what starts in the hour that begins a day after the present one, and what was missed, with a job for each. */
function claimReminders(): Promise<number> {
  const now = clock.now();
  const hour = Math.floor(now.getTime() / HOUR_MS) * HOUR_MS;
  const from = new Date(hour + (AHEAD_HOURS - CATCH_UP_HOURS) * HOUR_MS);
  const to = new Date(hour + (AHEAD_HOURS + 1) * HOUR_MS);
  return inTransaction(async () => {
    const due = await query<{ appointmentId: number; startTs: Date }>(CLAIM_REMINDERS, [
      tenant().id,
      from,
      to,
      `${AHEAD_HOURS} hours`,
      now,
    ]);
    if (due.length === 0) return 0;
    const [quiet = USUAL_QUIET] = await query<QuietHours>(QUIET_HOURS, [tenant().id]);
    const runAt = afterQuiet(now, quiet, tenant().timeZone);
    for (const { appointmentId, startTs } of due) {
      await enqueue('reminder.send', { appointmentId, startsAt: startTs.toISOString() }, { runAt });
    }
    return due.length;
  });
}

/**
 * Makes the message of a claimed reminder, unless things have changed since: then the claim is dropped, so that it can be made
 * again. A second run finds the message there and does nothing.
 */
export function sendReminder(appointmentId: number, startsAt: Date): Promise<void> {
  return inTransaction(async () => {
    const [claim] = await query<{ id: string }>(LOCK_REMINDER, [tenant().id, appointmentId, startsAt]);
    if (!claim) return;
    const [facts] = await query<ReminderFacts>(REMINDER_FACTS, [tenant().id, appointmentId, startsAt]);
    const isWanted = facts?.smsConsent && !facts.smsOptOut && toE164(facts.phone) !== null && startsAt > clock.now();
    if (!facts || !isWanted) {
      await query(DROP_REMINDER, [tenant().id, claim.id]);
      return;
    }
    const template = await reminderTemplate();
    const body = renderTemplate(template.body, variablesOf(facts, startsAt));
    const message = await addOutgoing({ appointmentId, customerId: facts.customerId, channel: 'sms', body, templateId: template.id });
    await query(SET_REMINDER_MESSAGE, [tenant().id, claim.id, message.id, clock.now()]);
  });
}

/** The shop's own wording; the usual one when it has none that is active. */
async function reminderTemplate(): Promise<{ id: string | null; body: string }> {
  const own = await findTemplate(TEMPLATE);
  if (isUsable(own)) return own;
  const usual = FIRST_TEMPLATES.find(({ slug }) => slug === TEMPLATE);
  if (!usual) throw new Error(`No template ${TEMPLATE} among the first ones`);
  return { id: null, body: usual.body };
}

const isUsable = (template: TemplateRow | undefined): template is TemplateRow => template?.isActive === true && template.channel === 'sms';

function variablesOf({ customerName, vehicle, service }: ReminderFacts, startsAt: Date): Record<string, string | null> {
  const local = DateTime.fromJSDate(startsAt, { zone: tenant().timeZone }).setLocale('en-US');
  return {
    'customer.name': customerName,
    'vehicle.label': vehicle,
    'service.name': service,
    'shop.name': tenant().name,
    'appointment.date': local.toFormat('cccc, LLLL d'),
    'appointment.time': local.toFormat('h:mm a'),
  };
}

const keptUntil = (): Date => new Date(clock.now().getTime() - KEPT_DAYS * 24 * HOUR_MS);

/** Removes the log of automatic messages after its time. @returns how many were removed, at most `batch` */
export const pruneNotifications = (batch: number): Promise<object[]> => query(PRUNE_NOTIFICATIONS, [batch, tenant().id, keptUntil()]);

/** How many there are to remove. */
export async function countOldNotifications(): Promise<number> {
  const [counted] = await query<{ rows: number }>(COUNT_OLD_NOTIFICATIONS, [tenant().id, keptUntil()]);
  return counted?.rows ?? 0;
}
