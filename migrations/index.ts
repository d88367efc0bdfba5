import { CreateCatalogue1795000000000 } from './1795000000000-CreateCatalogue.js';
import { CreateJobsAndFleet1795000000001 } from './1795000000001-CreateJobsAndFleet.js';
import { AddJobSlots1795000000002 } from './1795000000002-AddJobSlots.js';
import { AddJobLimits1795000000003 } from './1795000000003-AddJobLimits.js';
import { AddPushExports1795000000005 } from './1795000000005-AddPushExports.js';
import { AddTrackerFacts1795000000006 } from './1795000000006-AddTrackerFacts.js';
import { AddLayerProofs1795000000007 } from './1795000000007-AddLayerProofs.js';
import { AddValidationCadence1795000000008 } from './1795000000008-AddValidationCadence.js';
import { AddConsolidation1795000000009 } from './1795000000009-AddConsolidation.js';
import { AddWebhooks1795000000011 } from './1795000000011-AddWebhooks.js';
import { AddPolicies1795000000012 } from './1795000000012-AddPolicies.js';
import { AddRetention1795000000013 } from './1795000000013-AddRetention.js';
import { AddHoldChanges1795000000015 } from './1795000000015-AddHoldChanges.js';
import { AddCatalogueIndexes1795000000040 } from './1795000000040-AddCatalogueIndexes.js';
import { AddPolicyVerification1795000000048 } from './1795000000048-AddPolicyVerification.js';
import { AddDamagedRestores1795000000055 } from './1795000000055-AddDamagedRestores.js';
import { AddUncatalogued1796000000100 } from './1796000000100-AddUncatalogued.js';
import { AddSizeChanges1796000000140 } from './1796000000140-AddSizeChanges.js';
import { AddResourceClaims1796000000150 } from './1796000000150-AddResourceClaims.js';
import { AddUnservedPools1796000000160 } from './1796000000160-AddUnservedPools.js';
import { AddVmNames1796000000170 } from './1796000000170-AddVmNames.js';
import { AddRepositoryLines1796100000100 } from './1796100000100-AddRepositoryLines.js';

/** All migrations, oldest first. */
export const MIGRATIONS = [
  CreateCatalogue1795000000000,
  CreateJobsAndFleet1795000000001,
  AddJobSlots1795000000002,
  AddJobLimits1795000000003,
  AddPushExports1795000000005,
  AddTrackerFacts1795000000006,
  AddLayerProofs1795000000007,
  AddValidationCadence1795000000008,
  AddConsolidation1795000000009,
  AddWebhooks1795000000011,
  AddPolicies1795000000012,
  AddRetention1795000000013,
  AddHoldChanges1795000000015,
  AddCatalogueIndexes1795000000040,
  AddPolicyVerification1795000000048,
  AddDamagedRestores1795000000055,
  AddUncatalogued1796000000100,
  AddSizeChanges1796000000140,
  AddResourceClaims1796000000150,
  AddUnservedPools1796000000160,
  AddVmNames1796000000170,
  AddRepositoryLines1796100000100,
];
