"""Elements at places that strides name, met by one walk: functions of them, copies, sums and extremes, indexing."""
