import { randomBytes } from 'node:crypto';
import { Type } from 'typebox';
import {
  DeliveryQuery,
  Redelivered,
  Webhook,
  WebhookCreate,
  WebhookCreated,
  WebhookDeliveryPage,
  WebhookPage,
  WebhookParams,
  WebhookPatch,
  WebhookQuery,
} from '../../../contract/index.js';
import {
  changeWebhook,
  createWebhook,
  deleteWebhook,
  getWebhook,
  listDeliveries,
  listWebhooks,
  recordTest,
  reviveDeliveries,
} from '../../../db/webhook/webhooks.js';
import { StrataError } from '../../../shared/errors.js';
import { pageRequest, toPage } from '../cursor.js';
import { type Api, API_PREFIX, type HttpDeps } from '../deps.js';
import { toDelivery, toWebhook } from '../views/webhook.js';

const tags = ['webhooks'];
const PATH = `${API_PREFIX}/webhooks`;
/** An address may hold a secret of the receiver's. */
const config = { access: 'admin' } as const;

/** Addresses that are told what has happened; for admins only. */
export function webhookRoutes(app: Api, deps: HttpDeps): void {
  app.post(
    PATH,
    {
      schema: { tags, summary: 'Register a webhook', body: WebhookCreate, response: { 201: WebhookCreated } },
      config,
    },
    async ({ body }, reply) => {
      const { name, url, events = null, secret = randomBytes(32).toString('base64url') } = body;
      checkUrl(url);
      const row = await createWebhook(deps.ds, { name, url, events, secret, now: deps.clock.now() });
      return reply
        .code(201)
        .header('location', `${PATH}/${row.id}`)
        .send({ ...toWebhook(row), secret });
    },
  );
  app.get(
    PATH,
    {
      schema: { tags, summary: 'List webhooks', querystring: WebhookQuery, response: { 200: WebhookPage } },
      config,
    },
    async ({ query }) => toPage(await listWebhooks(deps.ds, pageRequest(query, 'id')), toWebhook),
  );
  app.get(
    `${PATH}/:id`,
    {
      schema: { tags, summary: 'Read a webhook', params: WebhookParams, response: { 200: Webhook } },
      config,
    },
    async ({ params }) => toWebhook(await getWebhook(deps.ds, params.id)),
  );
  changingRoutes(app, deps);
  deliveryRoutes(app, deps);
  sendingRoutes(app, deps);
}

function changingRoutes(app: Api, deps: HttpDeps): void {
  app.patch(
    `${PATH}/:id`,
    {
      schema: {
        tags,
        summary: 'Change a webhook',
        params: WebhookParams,
        body: WebhookPatch,
        response: { 200: Webhook },
      },
      config,
    },
    async ({ params, body }) => {
      if (body.url !== undefined) checkUrl(body.url);
      await getWebhook(deps.ds, params.id);
      return toWebhook(await changeWebhook(deps.ds, params.id, body));
    },
  );
  app.delete(
    `${PATH}/:id`,
    {
      schema: {
        tags,
        summary: 'Remove a webhook with all that it was still to be told',
        params: WebhookParams,
        response: { 204: Type.Null() },
      },
      config,
    },
    async ({ params }, reply) => {
      await deleteWebhook(deps.ds, params.id);
      return reply.code(204).send(null);
    },
  );
}

function deliveryRoutes(app: Api, deps: HttpDeps): void {
  app.get(
    `${PATH}/:id/deliveries`,
    {
      schema: {
        tags,
        summary: 'What a webhook was told and is still to be told, newest first',
        params: WebhookParams,
        querystring: DeliveryQuery,
        response: { 200: WebhookDeliveryPage },
      },
      config,
    },
    async ({ params, query }) => {
      await getWebhook(deps.ds, params.id);
      const filter = { webhookId: params.id, state: query.state };
      return toPage(await listDeliveries(deps.ds, filter, pageRequest(query, 'time')), toDelivery);
    },
  );
}

function sendingRoutes(app: Api, deps: HttpDeps): void {
  app.post(
    `${PATH}/:id/test`,
    {
      schema: {
        tags,
        summary: 'Send it a `webhook.test`',
        params: WebhookParams,
        response: { 202: Redelivered },
      },
      config,
    },
    async ({ params }, reply) => {
      await recordTest(deps.ds, params.id);
      return reply.code(202).send({ deliveries: 1 });
    },
  );
  app.post(
    `${PATH}/:id/redeliver`,
    {
      schema: {
        tags,
        summary: 'Try again to deliver what was given up',
        params: WebhookParams,
        response: { 202: Redelivered },
      },
      config,
    },
    async ({ params }, reply) => {
      await getWebhook(deps.ds, params.id);
      return reply.code(202).send({ deliveries: await reviveDeliveries(deps.ds, params.id) });
    },
  );
}

/** A password in an address would be shown by every list. */
function checkUrl(text: string): void {
  const refuse = (why: string): never => {
    throw new StrataError('invalid_request', `The URL of a webhook ${why}.`, { field: 'url' });
  };
  if (!URL.canParse(text)) refuse('is an absolute http or https URL');
  const url = new URL(text);
  if (url.protocol !== 'http:' && url.protocol !== 'https:') refuse('begins with http:// or https://');
  if (url.username !== '' || url.password !== '') refuse('holds no user name and no password');
}
