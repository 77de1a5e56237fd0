/**
 * The number that a shop's texts come from. The operator gives it, not the shop's owner: texts that customers send to a number are
 * routed to the shop that has it, so whoever could claim a number could read what others are sent. The owner sees it in the settings.
 */
import { config } from '../config';
import { clock } from '../lib/clock';
import { tenant } from '../lib/context';
import { inTransaction, query } from '../lib/db';
import { BadRequest } from '../lib/errors';
import { LOCK_SMS_NUMBER, UPDATE_SMS_NUMBER } from '../models/settings.queries';
import { recordAudit } from './audit.service';

const E164 = /^\+[1-9]\d{9,14}$/;

/**
 * Gives the context's shop a number of its own; null takes it away, and the shop sends from the service's number again.
 * @throws BadRequest for a number that is not E.164, or is the service's; Conflict when another shop has it
 */
export async function setSmsNumber(number: string | null): Promise<void> {
  if (number !== null && !E164.test(number)) throw new BadRequest('An SMS number is E.164: +, country code and number, digits only');
  if (number !== null && number === config.SMS_FROM)
    throw new BadRequest('This is the number of the service (SMS_FROM), shared by all shops');
  await inTransaction(async () => {
    const { id } = tenant();
    const [current] = await query<{ number: string | null }>(LOCK_SMS_NUMBER, [id]);
    const before = current?.number ?? null;
    if (before === number) return;
    await query(UPDATE_SMS_NUMBER, [id, number, clock.now()]);
    await recordAudit({
      action: 'TENANT_UPDATE',
      entity: 'tenant',
      entityId: id,
      before: { sms_number: before },
      after: { sms_number: number },
    });
  });
}
