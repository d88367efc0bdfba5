import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { runTool } from './runTool.js';

/** An authority and certificates of a server and a client, in files named as QEMU and libnbd look for them. */
export async function makeCertificates(folder: string): Promise<void> {
  const key = join(folder, 'ca-key.pem');
  const authority = join(folder, 'ca-cert.pem');
  await openssl(
    `req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 -subj /CN=authority -keyout ${key} -out ${authority}`,
  );
  await sign(folder, 'server');
  await sign(folder, 'client');
}

/** Makes `<name>-cert.pem` and `<name>-key.pem`, signed by the folder's authority; good for localhost and 127.0.0.1. */
async function sign(folder: string, name: string): Promise<void> {
  const file = (suffix: string) => join(folder, `${name}${suffix}`);
  const authority = `-CA ${join(folder, 'ca-cert.pem')} -CAkey ${join(folder, 'ca-key.pem')} -CAcreateserial`;
  await openssl(
    `req -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -subj /CN=${name} -keyout ${file('-key.pem')} -out ${file('.csr')}`,
  );
  await writeFile(file('.ext'), 'subjectAltName=DNS:localhost,IP:127.0.0.1\n');
  const files = `-in ${file('.csr')} -out ${file('-cert.pem')} -extfile ${file('.ext')}`;
  await openssl(`x509 -req -days 2 ${authority} ${files}`);
}

/** @param command words without blanks */
function openssl(command: string): Promise<string> {
  return runTool('openssl', ...command.split(' '));
}
