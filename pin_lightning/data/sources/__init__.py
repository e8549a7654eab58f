"""Sources of cases: the layouts of data sets that are read, one file each."""
