"""What a core has to get through in one simulation after the other: short jobs whose results a golden model knows.

`ssvq_sim.scenarios.workload.workload` has all of them; mutants and coverage are judged by these.
"""
