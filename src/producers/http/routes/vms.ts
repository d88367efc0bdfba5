import { Type } from 'typebox';
import { Vm, VmPage, VmParams, VmPut, VmQuery, VmRegistered } from '../../../contract/index.js';
import { deleteVm } from '../../../db/vm/registrations.js';
import { getVm, listVms } from '../../../db/vm/vms.js';
import { resolveRepository } from '../../../db/repository/repositories.js';
import { registerVm } from '../../accept/index.js';
import { pageRequest, toPage } from '../cursor.js';
import { type Api, API_PREFIX, type HttpDeps } from '../deps.js';
import { toVm } from '../views/vm.js';

const tags = ['vms'];
const PATH = `${API_PREFIX}/vms`;

/** VMs and their disks, so that a backup request need only name them. */
export function vmRoutes(app: Api, deps: HttpDeps): void {
  app.put(
    PATH,
    {
      schema: {
        tags,
        summary: 'Register a VM, or register it again',
        body: VmPut,
        response: { 200: VmRegistered },
      },
      config: { access: 'operator' },
    },
    async ({ body }) => {
      const { vmContextId, warnings } = await registerVm(deps, body);
      const vm = toVm(await getVm(deps.ds, vmContextId));
      return warnings.length === 0 ? vm : { ...vm, warnings };
    },
  );
  app.get(
    PATH,
    {
      schema: { tags, summary: 'List VMs', querystring: VmQuery, response: { 200: VmPage } },
      config: { access: 'viewer' },
    },
    async ({ query }) => {
      const { repository_id: ref, vm_name: vmName } = query;
      const repositoryId = ref === undefined ? undefined : await resolveRepository(deps.ds, ref);
      return toPage(await listVms(deps.ds, { vmName, repositoryId }, pageRequest(query, 'id')), toVm);
    },
  );
  app.get(
    `${PATH}/:vm_context_id`,
    {
      schema: { tags, summary: 'Read a VM', params: VmParams, response: { 200: Vm } },
      config: { access: 'viewer' },
    },
    async ({ params }) => toVm(await getVm(deps.ds, params.vm_context_id)),
  );
  removeRoute(app, deps);
}

function removeRoute(app: Api, deps: HttpDeps): void {
  app.delete(
    `${PATH}/:vm_context_id`,
    {
      schema: {
        tags,
        summary: 'Forget a VM',
        description:
          'Refused with `vm_in_use` while it has restore points, open jobs or a policy. The history of its jobs goes with it.',
        params: VmParams,
        // Once this path removed backups, with a dry run: whoever asks for one must not have the VM forgotten.
        response: { 204: Type.Null() },
      },
      config: { access: 'admin' },
    },
    async ({ params }, reply) => {
      await deleteVm(deps.ds, params.vm_context_id);
      return reply.code(204).send(null);
    },
  );
}
