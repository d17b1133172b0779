//go:build !wasip1

package regopolicy

import "kest.example/kest/internal/regoinfo"

// linked: only guests have a module linked in.
func linked() (module, []byte) { return nil, nil }

func serve(*regoinfo.Info) {}
