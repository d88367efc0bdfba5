import {
  PolicyParams,
  PolicyQuery,
  PolicyRun,
  PolicyRunPage,
  PolicyRunParams,
  PolicyRunWithVms,
  Simulation,
} from '../../../contract/index.js';
import { getPolicy } from '../../../db/policy/policies.js';
import { beginRequestedRun, getRun, listRuns } from '../../../db/policy/runs.js';
import { simulateRetention } from '../../../services/retention/index.js';
import { StrataError } from '../../../shared/errors.js';
import { runPolicies } from '../../schedules/runPolicies.js';
import { pageRequest, toPage } from '../cursor.js';
import { type Api, API_PREFIX, type HttpDeps } from '../deps.js';
import { toPolicyRun, toPolicyRunWithVms, toSimulation } from '../views/policy.js';

const tags = ['policies'];
const PATH = `${API_PREFIX}/policies/:id`;

/** What came of a policy, and what it would do. */
export function policyRunRoutes(app: Api, deps: HttpDeps): void {
  app.post(
    `${PATH}/run`,
    {
      schema: {
        tags,
        summary: 'Run a policy now, all its VMs at once',
        params: PolicyParams,
        response: { 202: PolicyRun },
      },
      config: { access: 'operator' },
    },
    async ({ params }, reply) => {
      const { id } = await beginRequestedRun(deps.ds, params.id);
      // The keeper does the same with its next sweep, should this process end here.
      await runPolicies(deps);
      return reply.code(202).send(toPolicyRun((await getRun(deps.ds, id)).run));
    },
  );
  app.get(
    `${PATH}/runs`,
    {
      schema: {
        tags,
        summary: 'List the runs of a policy, newest first',
        params: PolicyParams,
        querystring: PolicyQuery,
        response: { 200: PolicyRunPage },
      },
      config: { access: 'viewer' },
    },
    async ({ params, query }) => {
      await getPolicy(deps.ds, params.id);
      return toPage(await listRuns(deps.ds, params.id, pageRequest(query, 'id')), toPolicyRun);
    },
  );
  readingRoute(app, deps);
  simulateRoute(app, deps);
}

function readingRoute(app: Api, deps: HttpDeps): void {
  app.get(
    `${PATH}/runs/:run_id`,
    {
      schema: {
        tags,
        summary: 'Read a run with what came of each VM',
        params: PolicyRunParams,
        response: { 200: PolicyRunWithVms },
      },
      config: { access: 'viewer' },
    },
    async ({ params }) => {
      const found = await getRun(deps.ds, params.run_id);
      if (found.run.policyId === params.id) return toPolicyRunWithVms(found);
      throw new StrataError('not_found', `There is no run ${params.run_id} of policy ${params.id}.`);
    },
  );
}

function simulateRoute(app: Api, deps: HttpDeps): void {
  app.get(
    `${PATH}/simulate`,
    {
      schema: {
        tags,
        summary: 'Say of every restore point whether the policy would keep it now, and why',
        params: PolicyParams,
        response: { 200: Simulation },
      },
      config: { access: 'viewer' },
    },
    async ({ params }) => {
      const { policy, vms } = await getPolicy(deps.ds, params.id);
      const simulated = [];
      for (const vmContextId of vms) {
        simulated.push({ vmContextId, verdicts: await simulateRetention(deps.ds, vmContextId, policy) });
      }
      return toSimulation(policy.id, simulated);
    },
  );
}
