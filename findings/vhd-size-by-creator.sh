#!/usr/bin/env bash
# How long a VHD is to QEMU depends on the four characters of the program that wrote it. Runs without Strata, on fixed VHDs
# made after the VHD specification 1.0: content, and a footer with the exact "current size" and the geometry of its appendix.
#
# Seen with qemu-utils 7.2.22 (Debian 12, November 2026): a disk of 100 MiB (104,857,600 bytes) of the creators `win `, `qem2`,
# `d2v `, `tap`, `CTXS` has its size; of Azure (`wa`), VirtualBox (`vbox`), Virtual PC (`vpc `) and everybody else it is as long
# as cylinders x heads x sectors: the last sectors are gone (with them the second table of a GPT disk), exit 0 everywhere.
# `force_size_calc=current_size` gives all of them their size.
# Exits 0 while QEMU behaves so, 1 when it has changed.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
qemu-img --version | head -1
cat >footer.mjs <<'JS'
import { appendFileSync, truncateSync, writeFileSync } from 'node:fs';

const [path, creator, size] = process.argv.slice(2);
const footer = Buffer.alloc(512);
footer.write('conectix');
footer.writeUInt32BE(2, 8);
footer.writeUInt32BE(0x10000, 12);
footer.fill(0xff, 16, 24);
footer.write(creator, 28);
footer.write('Wi2k', 36);
footer.writeBigUInt64BE(BigInt(size), 40);
footer.writeBigUInt64BE(BigInt(size), 48);
// The appendix's case of 17 sectors a track: 100 MiB are 1003 cylinders of 12 heads, and 188 sectors more.
const tracks = Math.floor(size / 512 / 17);
const heads = Math.max(4, Math.floor((tracks + 1023) / 1024));
footer.writeUInt16BE(Math.floor(tracks / heads), 56);
footer.writeUInt8(heads, 58);
footer.writeUInt8(17, 59);
footer.writeUInt32BE(2, 60);
footer.write('0123456789abcdef', 68);
footer.writeUInt32BE(~footer.reduce((sum, byte) => sum + byte, 0) >>> 0, 64);
writeFileSync(path, '');
truncateSync(path, Number(size));
appendFileSync(path, footer);
JS
size=$((100 * 1024 * 1024))
changed=0
sizeof() { qemu-img info --output=json "$@" | node -p 'JSON.parse(require("fs").readFileSync(0))["virtual-size"]'; }
for creator in 'win ' qem2 'd2v ' tap CTXS wa vbox 'vpc ' abcd; do
  node footer.mjs disk.vhd "$creator" "$size"
  found=$(sizeof -f vpc disk.vhd)
  forced=$(sizeof --image-opts driver=vpc,file.filename=disk.vhd,force_size_calc=current_size)
  case $creator in
    'win ' | qem2 | 'd2v ' | tap | CTXS) expected=$size ;;
    *) expected=104761344 ;;
  esac
  word='as seen'
  if [[ $found != "$expected" || $forced != "$size" ]]; then word=CHANGED changed=1; fi
  echo "$word  '$creator': $found bytes, forced $forced"
done
exit "$changed"
