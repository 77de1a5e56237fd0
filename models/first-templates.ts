/** The message templates that every shop begins with. */
import { templateVariables } from '../lib/templates';
import type { Channel } from '../schemas/messages.schema';
import texts from './seeds/message-templates.json';

export interface FirstTemplate {
  slug: string;
  label: string;
  channel: Channel;
  category: string;
  body: string;
  variables: string[];
}

export const FIRST_TEMPLATES: readonly FirstTemplate[] = texts.map((text) => ({
  ...text,
  channel: text.channel as Channel,
  variables: templateVariables(text.body),
}));
