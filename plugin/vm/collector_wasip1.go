package vm

import "runtime/debug"

// A guest's garbage is collected on the one thread that serves requests, and
// its live heap is a few MB: collecting a quarter as often costs little memory
// and saves most of that time.
func init() { debug.SetGCPercent(400) }
