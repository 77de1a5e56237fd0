/**
 * Outgoing mail. With `SMTP_URL` through that server; without it, outside production, each mail becomes an `.eml` file under
 * `DATA_DIR/mail` (0600), which any mail program opens. Called by jobs only: a mail server may take seconds, or be away.
 */
import { randomUUID } from 'node:crypto';
import { mkdir, writeFile } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { createTransport } from 'nodemailer';
import { config } from '../config';
import { clock } from './clock';
import { log } from './log';
import { type SmtpSender, smtpSender } from './smtp';

export interface Mail {
  to: string;
  /** The same for every attempt at one mail: its Message-ID, by which mail programs know a repetition. Default: a new one. */
  dedupeKey?: string;
  subject: string;
  text: string;
  attachments?: readonly { filename: string; content: Buffer; contentType: string }[];
}

/** Made at the first mail. */
let sendBySmtp: SmtpSender | undefined;
const SENDER_DOMAIN = /@([\w.-]+)/.exec(config.MAIL_FROM)?.[1] ?? 'localhost';
const composer = createTransport({ streamTransport: true, buffer: true, newline: 'windows' });

/**
 * Hands the mail to the mail server, or writes it to a file.
 * @throws ProviderRefusal when the server refuses for good; Error when it cannot be reached or refuses for now, and in production
 *   without SMTP_URL: the caller tries again
 */
export async function sendMail({ dedupeKey, ...mail }: Mail): Promise<void> {
  const message = {
    ...mail,
    attachments: [...(mail.attachments ?? [])],
    from: config.MAIL_FROM,
    ...(dedupeKey ? { messageId: `<${dedupeKey}@${SENDER_DOMAIN}>` } : {}),
  };
  if (config.SMTP_URL) {
    sendBySmtp ??= smtpSender(config.SMTP_URL);
    log.info('mail sent', { messageId: await sendBySmtp(message) });
    return;
  }
  if (config.isProduction) throw new Error('SMTP_URL is not set: mail cannot be sent');
  const folder = resolve(config.DATA_DIR, 'mail');
  await mkdir(folder, { recursive: true, mode: 0o700 });
  const { message: raw } = await composer.sendMail(message);
  const file = join(folder, `${clock.now().toISOString().replaceAll(':', '-')}-${randomUUID().slice(0, 8)}.eml`);
  await writeFile(file, raw as Buffer, { mode: 0o600 });
  log.info('mail written to a file, because SMTP_URL is not set', { file });
}
