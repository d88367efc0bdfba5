import { join } from 'node:path';
import { startStorageDaemon } from '../../helpers/nbdServers.js';
import { runTool } from '../../helpers/runTool.js';

/** A `qemu-storage-daemon` with one QCOW2 disk, node `disk0`, that a guest writes over NBD. */
export interface LiveDaemon {
  /** The sockets of its monitor and its NBD server. */
  qmp: string;
  nbd: string;
  /** Writes 64 KiB of `pattern` at block `block`, as a guest would. */
  write(block: number, pattern: number): Promise<void>;
  close(): Promise<void>;
}

export async function startLiveDaemon(dir: string, bytes: number): Promise<LiveDaemon> {
  const disk = join(dir, 'live.qcow2');
  const qmp = join(dir, 'qmp.sock');
  await runTool('qemu-img', 'create', '-q', '-f', 'qcow2', disk, String(bytes));
  const server = await startStorageDaemon(
    '--chardev',
    `socket,id=qmp,path=${qmp},server=on,wait=off`,
    '--monitor',
    'chardev=qmp',
    '--blockdev',
    `driver=file,node-name=file0,filename=${disk}`,
    '--blockdev',
    'driver=qcow2,node-name=disk0,file=file0',
    '--export',
    'type=nbd,id=guest,node-name=disk0,name=guest,writable=on',
  );
  return {
    qmp,
    nbd: server.socketPath,
    write: async (block, pattern) => {
      const command = `write -q -P ${pattern} ${block * 65536} 65536`;
      await runTool('qemu-io', '-f', 'raw', '-c', command, server.uri('guest'));
    },
    close: () => server.stop(),
  };
}
