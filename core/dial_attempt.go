package core

// inherit makes l, which has no descriptor yet, the owner of that of a connected
// attempt, with its registration: the loop hears nothing but the change of
// interest when l's service ends. from is over. l.fd is set, lfKeepFD is lifted
// and l is not adrift any more. Loop thread only, inside the done of reach.
func (l *link) inherit(from *link) {}
