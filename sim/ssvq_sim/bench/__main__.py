"""`python -m ssvq_sim.bench`."""

import sys

from .command import main

sys.exit(main())
