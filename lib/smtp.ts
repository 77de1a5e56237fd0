/**
 * The mail server, spoken to by SMTP. One connection for each mail: mail is rare, and a kept connection would be found dead when the
 * next is due. Nothing here waits without a limit, for the jobs behind wait too.
 */
import { createTransport, type SendMailOptions } from 'nodemailer';
import { ProviderRefusal } from './provider-error';

export interface SmtpLimits {
  /** A server that says nothing for this long counts as away. */
  silentMs: number;
  /** For the whole of one mail, whatever the server says meanwhile. */
  wholeMs: number;
}

const LIMITS: SmtpLimits = { silentMs: 20_000, wholeMs: 120_000 };

/**
 * Hands one mail over. @returns its Message-ID
 * @throws ProviderRefusal when the server refuses this mail for good; Error when it is away, slow, or refuses for now
 */
export type SmtpSender = (message: SendMailOptions) => Promise<string>;

export function smtpSender(url: string, { silentMs, wholeMs }: SmtpLimits = LIMITS): SmtpSender {
  const transport = createTransport({ url, connectionTimeout: silentMs, greetingTimeout: silentMs, socketTimeout: silentMs });
  return async (message) => {
    try {
      const { messageId } = await transport.sendMail({ ...message, signal: AbortSignal.timeout(wholeMs) });
      return messageId;
    } catch (error) {
      throw refusalOf(error) ?? error;
    }
  };
}

/** Steps at which a refusal is about this mail. Earlier ones (greeting, log-in, sender) are about us, and can be mended. */
const ABOUT_THE_MAIL = ['RCPT TO', 'DATA'];

/** 550 to 554: no such mailbox, content refused. Other permanent codes are about how we speak to the server. */
function refusalOf(error: unknown): ProviderRefusal | undefined {
  const { responseCode, command, message } = error as { responseCode?: number; command?: string; message?: string };
  if (responseCode === undefined || responseCode < 550 || responseCode > 554 || !ABOUT_THE_MAIL.includes(command ?? '')) return undefined;
  return new ProviderRefusal(String(responseCode), message ?? 'refused by the mail server');
}
