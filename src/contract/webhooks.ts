import { type Static, Type } from 'typebox';
import { EVENT_TYPES } from '../shared/eventTypes.js';
import { closed, Formed, Id, nullable, oneOf, PageQuery, pageOf, Time } from './common.js';

const Name = Type.String({ minLength: 1, maxLength: 63, description: 'A-Z a-z 0-9 _ . -' });
const Url = Type.String({
  minLength: 1,
  maxLength: 2000,
  description: 'http:// or https://, without user name and password. Redirects are not followed.',
});

export const EventType = oneOf(EVENT_TYPES);
const Events = Type.Array(EventType, {
  minItems: 1,
  maxItems: EVENT_TYPES.length,
  uniqueItems: true,
  description: 'What it is told; left out or null: everything.',
});

export const WebhookCreate = closed({
  name: Name,
  url: Url,
  events: Type.Optional(nullable(Events)),
  secret: Type.Optional(
    Formed('^[\\x21-\\x7e]+$', 'printable ASCII without blanks', {
      minLength: 16,
      maxLength: 191,
      description: 'Key of the signatures; left out: one of 256 random bits is made.',
    }),
  ),
});
export type WebhookCreate = Static<typeof WebhookCreate>;

export const WebhookPatch = Type.Object(
  {
    url: Type.Optional(Url),
    events: Type.Optional(nullable(Events)),
    enabled: Type.Optional(
      Type.Boolean({ description: 'A disabled one is told nothing, also not what happens meanwhile.' }),
    ),
  },
  { additionalProperties: false, minProperties: 1 },
);
export type WebhookPatch = Static<typeof WebhookPatch>;

const properties = {
  id: Type.String(),
  name: Type.String(),
  url: Type.String(),
  events: nullable(Type.Array(Type.String())),
  enabled: Type.Boolean(),
  created_at: Time('When it was registered'),
};

export const Webhook = closed(properties);
export type Webhook = Static<typeof Webhook>;

export const WebhookCreated = closed({
  ...properties,
  secret: Type.String({ description: 'Shown this once.' }),
});
export type WebhookCreated = Static<typeof WebhookCreated>;

export const DeliveryState = oneOf(
  ['pending', 'delivered', 'dead'],
  'dead: given up; it is sent again only on request.',
);
export type DeliveryState = Static<typeof DeliveryState>;

export const WebhookDelivery = closed({
  id: Type.String(),
  event_id: Type.String({ description: 'The header `strata-event-id`.' }),
  type: Type.String(),
  subject_id: Type.String({ description: 'The job or restore point that it is about.' }),
  state: DeliveryState,
  attempts: Type.Integer(),
  last_status: nullable(
    Type.Integer({ description: 'HTTP status of the last answer; null when there was none.' }),
  ),
  last_error: nullable(Type.String()),
  next_attempt_at: nullable(Time('When it is tried next')),
  created_at: Time('When it happened'),
  delivered_at: nullable(Time('When it was taken')),
});
export type WebhookDelivery = Static<typeof WebhookDelivery>;

export const Redelivered = closed({
  deliveries: Type.Integer({ description: 'Deliveries that are due again.' }),
});
export type Redelivered = Static<typeof Redelivered>;

export const WebhookPage = pageOf(Webhook);
export type WebhookPage = Static<typeof WebhookPage>;
export const WebhookDeliveryPage = pageOf(WebhookDelivery);
export type WebhookDeliveryPage = Static<typeof WebhookDeliveryPage>;

export const WebhookParams = closed({ id: Id('whk', 'webhook') });
export const WebhookQuery = closed(PageQuery);
export type WebhookQuery = Static<typeof WebhookQuery>;
export const DeliveryQuery = closed({ ...PageQuery, state: Type.Optional(DeliveryState) });
export type DeliveryQuery = Static<typeof DeliveryQuery>;
