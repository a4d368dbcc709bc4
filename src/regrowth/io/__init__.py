"""How files are read and written: NIfTI, ITK transforms, BIDS, tables."""
