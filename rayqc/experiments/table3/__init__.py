"""The paper's Table 3 and what it left out: controls, another protocol, pools with faults."""
