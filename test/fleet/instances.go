package fleet

import (
	"regexp"
	"slices"
	"sync"
	"testing"
)

var signingWith = regexp.MustCompile(`signing with the key ([\w-]+)`)

// RunInstances takes the agent away from a Go host of one instance, under so
// much load that it makes more: they sign with the first one's key, so that
// nothing is refused.
func RunInstances(t *testing.T, cacheDir string) {
	f := New(t)
	orders := f.Workload("orders", nil).Serve()
	g := callouts(cacheDir, 4).Start(t, setup(t, orders, ""))
	g.want(t, 200, "before")
	orders.Kill()
	var keys []string
	for len(keys) < 4 {
		var batch sync.WaitGroup
		for range 32 {
			batch.Go(func() { g.want(t, 200, "under load, the agent away") })
		}
		batch.Wait()
		keys = nil
		for _, m := range signingWith.FindAllStringSubmatch(g.Log(), -1) {
			keys = append(keys, m[1])
		}
		if t.Failed() {
			return
		}
	}
	if len(slices.Compact(keys)) != 1 {
		t.Errorf("the instances sign with %q", keys)
	}
}
