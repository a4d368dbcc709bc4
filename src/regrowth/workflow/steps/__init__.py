"""The steps, one module each: from which files to which files, and the call of the science between them."""
