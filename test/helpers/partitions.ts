import { runTool } from './runTool.js';

/** addpart(8) and delpart(8), which Debian 13 no longer has: BLKPG of linux/blkpg.h. */
const TELL_KERNEL = `
  my ($device, $operation, $number, $start, $length) = @ARGV;
  my $partition = pack('q q l a64 a64 x4', $start, $length, $number, '', '');
  my $call = pack('l l l x4 P', $operation, 0, length $partition, $partition);
  open(my $disk, '<', $device) or die "$device: $!\\n";
  ioctl($disk, 0x1269, $call) or die "$device, partition $number: $!\\n";
`;

/** Makes the kernel see a partition of which the device itself knows nothing. */
export async function addPartition(
  device: string,
  number: number,
  { startBytes, lengthBytes }: { startBytes: number; lengthBytes: number },
): Promise<void> {
  await runTool(
    'perl',
    '-e',
    TELL_KERNEL,
    device,
    '1',
    String(number),
    String(startBytes),
    String(lengthBytes),
  );
}

export async function deletePartition(device: string, number: number): Promise<void> {
  await runTool('perl', '-e', TELL_KERNEL, device, '2', String(number), '0', '0');
}
