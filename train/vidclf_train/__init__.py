"""Train, measure and build what vidclf ships; needs the extra [train]."""

import os

# Before torch is loaded. Its threads spin while they wait for each other, and where anything else runs on the
# machine they spin away what the others need: an epoch of the paper's recipe took 60 to 100 s on two busy
# cores, and 15 to 20 s when they sleep instead.
os.environ.setdefault("OMP_WAIT_POLICY", "passive")
