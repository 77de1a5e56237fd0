/** Mail as the service writes it to files when there is no mail server. */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { config } from '../../config';

export interface WrittenMail {
  to: string;
  subject: string;
  text: string;
}

/** All mail to `address`, oldest first. */
export function mailTo(address: string): WrittenMail[] {
  const folder = join(config.DATA_DIR, 'mail');
  let files: string[] = [];
  try {
    files = readdirSync(folder).sort();
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
  }
  return files.map((file) => parse(readFileSync(join(folder, file), 'utf8'))).filter(({ to }) => to === address);
}

function parse(raw: string): WrittenMail {
  const split = raw.indexOf('\r\n\r\n');
  const head = raw.slice(0, split).replace(/\r\n[ \t]+/g, ' ');
  const header = (name: string) => new RegExp(`^${name}: (.*)$`, 'im').exec(head)?.[1]?.trim() ?? '';
  const body = raw.slice(split + 4);
  const text = header('Content-Transfer-Encoding').toLowerCase() === 'quoted-printable' ? quotedPrintable(body) : body;
  return { to: header('To'), subject: header('Subject'), text };
}

const quotedPrintable = (text: string): string =>
  text.replace(/=\r\n/g, '').replace(/=([0-9A-F]{2})/g, (_match, hex: string) => String.fromCharCode(Number.parseInt(hex, 16)));

/** What follows `#` in the link of a mail. */
export function linkParameters({ text }: WrittenMail): URLSearchParams {
  const link = /https?:\/\/\S+/.exec(text)?.[0];
  if (!link) throw new Error(`No link in ${text}`);
  return new URLSearchParams(new URL(link).hash.slice(1));
}
