import { renderChain } from '../../cli/render/chain.js';
import { formatBytes } from '../../cli/render/bytes.js';
import { renderFields, renderTable } from '../../cli/render/table.js';
import { formatSeconds } from '../../cli/render/time.js';
import type { Chain } from '../../client/index.js';
import type { UpResult } from '../up.js';
import type { Timing } from './steps.js';

/** What the demonstration ends with: the chain, how long each step took, where the system is and how to go on. */
export function renderSummary(chain: Chain, timings: readonly Timing[], system: UpResult): string {
  const times = renderTable(
    [
      { title: 'STEP', value: (row: Timing) => row.name },
      { title: 'TOOK', value: (row: Timing) => formatSeconds(row.seconds), align: 'right' as const },
    ],
    timings,
    'No steps.',
  );
  const facts = renderFields([
    ['API', system.addresses.api],
    ['API docs', `${system.addresses.docs}  (any user name, the token as password)`],
    ['queues', `${system.addresses.queues}  (the same)`],
    ['metrics', system.addresses.metrics],
    ['token', system.token],
    ['kept in', system.tokenFile],
    ['data', system.dataDir],
  ]);
  const next = [
    'The system is running. Go on with:',
    `  bin/strata chain ${quote(chain.vm_name)} ${chain.disk_id}`,
    `  bin/strata validate ${quote(chain.vm_name)} ${chain.disk_id} --wait`,
    '  bin/strata status',
    '  bin/strata down',
  ];
  return ['', renderChain(chain, (bytes) => formatBytes(bytes)), times, facts, `${next.join('\n')}\n`].join(
    '\n',
  );
}

/** For a shell, where the name needs it. */
function quote(name: string): string {
  return /^[A-Za-z0-9._-]+$/.test(name) ? name : `'${name}'`;
}
