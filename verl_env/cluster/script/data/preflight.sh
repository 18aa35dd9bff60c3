# Before anything starts: would these nodes work together?
@PREFLIGHT@ || fail 3 "these nodes would not work together (see above)"

