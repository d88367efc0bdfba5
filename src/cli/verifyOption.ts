import { Option } from 'commander';

/** `--verify`, of what makes backups. */
export function verifyOption(): Option {
  return new Option(
    '--verify <when>',
    'validate the chain when the backup has completed; after_deep reads what was never read, too',
  ).choices(['after', 'after_deep']);
}
